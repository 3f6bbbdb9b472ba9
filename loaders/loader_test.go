package loaders

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// batches records what a loader asked for, and answers a key by its double.
type batches struct {
	mu   sync.Mutex
	keys [][]int
}

func (b *batches) double(_ context.Context, keys []int) ([]int, []error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys = append(b.keys, slices.Clone(keys))
	values := make([]int, len(keys))
	for i, key := range keys {
		values[i] = 2 * key
	}
	return values, nil
}

// sizes are those of the batches, the largest first.
func (b *batches) sizes() []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	var sizes []int
	for _, keys := range b.keys {
		sizes = append(sizes, len(keys))
	}
	slices.SortFunc(sizes, func(x, y int) int { return y - x })
	return sizes
}

func TestKeysThatComeTogetherAreOneBatch(t *testing.T) {
	t.Parallel()
	steady := func(every time.Duration) func(i int) time.Duration {
		return func(i int) time.Duration { return time.Duration(i) * every }
	}
	for _, c := range []struct {
		name  string
		keys  int
		at    func(i int) time.Duration // when the i-th key is asked for
		sizes []int
	}{
		{"one", 1, steady(0), []int{1}},
		{"many at once", 500, steady(0), []int{500}},
		{"as many as services take", 1000, steady(0), []int{1000}},
		{"more than services take", 2500, steady(0), []int{1000, 1000, 500}},
		{"one after the other, however long it takes", 100, steady(quiet - 1), []int{100}},
		{"with a pause", 2, steady(10 * quiet), []int{1, 1}},
		{"a trickle does not hold up what came first for ever", 3000, steady(quiet / 2), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var seen batches
				l := newLoader(seen.double)
				var all sync.WaitGroup
				for i := range c.keys {
					all.Go(func() {
						time.Sleep(c.at(i))
						asked := time.Now()
						if got, err := l.Load(t.Context(), i); err != nil || got != 2*i {
							t.Errorf("%d is %d, %v", i, got, err)
						}
						if waited := time.Since(asked); waited > 2*patience {
							t.Errorf("key %d waited %v", i, waited)
						}
					})
				}
				all.Wait()
				if c.sizes != nil && !slices.Equal(seen.sizes(), c.sizes) {
					t.Errorf("batches of %v, want %v", seen.sizes(), c.sizes)
				}
			})
		})
	}
}

func TestAKeyIsAskedForOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen batches
		l := newLoader(seen.double)
		for range 2 { // together, and again when it is known
			thunks := make([]func() (int, error), 30)
			for i := range thunks {
				thunks[i] = l.LoadThunk(t.Context(), i%3)
			}
			for i, wait := range thunks {
				if got, err := wait(); err != nil || got != 2*(i%3) {
					t.Errorf("%d is %d, %v", i%3, got, err)
				}
			}
		}
		if want := [][]int{{0, 1, 2}}; fmt.Sprint(seen.keys) != fmt.Sprint(want) {
			t.Errorf("asked for %v, want %v", seen.keys, want)
		}
	})
}

func TestWhatABatchAnswers(t *testing.T) {
	t.Parallel()
	odd := errors.New("odd")
	for _, c := range []struct {
		name  string
		batch Batch[int, int]
		want  string // of the keys 1, 2 and 3
	}{
		{"values", func(_ context.Context, k []int) ([]int, []error) { return []int{k[0], k[1], k[2]}, nil }, "1 <nil>, 2 <nil>, 3 <nil>"},
		{"an error a key", func(context.Context, []int) ([]int, []error) { return []int{0, 4, 0}, []error{odd, nil, odd} }, "0 odd, 4 <nil>, 0 odd"},
		{"no error at all, at length", func(context.Context, []int) ([]int, []error) { return []int{7, 8, 9}, make([]error, 3) }, "7 <nil>, 8 <nil>, 9 <nil>"},
		{"a panic", func(context.Context, []int) ([]int, []error) { panic("sesame") }, "panic in a loader: sesame"},
		{"too few values", func(context.Context, []int) ([]int, []error) { return []int{1}, nil }, "asked for 3 keys and got 1 values"},
		{"too few errors", func(context.Context, []int) ([]int, []error) { return []int{1, 2, 3}, []error{odd} }, "asked for 3 keys and got 3 values and 1 errors"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLoader(c.batch)
				var answers []string
				for _, wait := range []func() (int, error){l.LoadThunk(t.Context(), 1), l.LoadThunk(t.Context(), 2), l.LoadThunk(t.Context(), 3)} {
					v, err := wait()
					answers = append(answers, fmt.Sprint(v, " ", err))
					if !strings.Contains(c.want, ", ") && (err == nil || !strings.Contains(err.Error(), c.want)) {
						t.Errorf("got %d, %v", v, err)
					}
				}
				if got := strings.Join(answers, ", "); strings.Contains(c.want, ", ") && got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

func TestWhoseTimeIsOverDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLoader(func(context.Context, []int) ([]int, []error) {
			time.Sleep(time.Minute)
			return []int{1}, nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Load(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if v, err := l.Load(t.Context(), 1); v != 1 || err != nil {
			t.Errorf("who has time gets %d, %v", v, err)
		}
	})
}
