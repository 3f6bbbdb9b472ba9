package maintenance

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slow is a store that takes its time for each write.
type slow struct {
	takes time.Duration
	kept  []int // how many calls each write had
}

func (s *slow) write(ctx context.Context, calls []Call) error {
	select {
	case <-time.After(s.takes):
		s.kept = append(s.kept, len(calls))
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Those who come while somebody writes are kept by one write after it, which has a time of its own.
func TestCallsThatWaitForEachOtherAreAllKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, store := newCallLog(), &slow{takes: writeTime - time.Second}
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if err := log.keep(t.Context(), Call{Name: "StartStream"}, store.write); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if !slices.Equal(store.kept, []int{1, 9}) {
			t.Errorf("writes of %v", store.kept)
		}
	})
}

// A store that hangs holds nobody for ever, and not those who come after.
func TestAStoreThatHangsHoldsNobodyForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, store := newCallLog(), &slow{takes: time.Hour}
		began := time.Now()
		if err := log.keep(t.Context(), Call{}, store.write); err == nil || time.Since(began) > writeTime {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		store.takes = 0
		if err := log.keep(t.Context(), Call{}, store.write); err != nil || !slices.Equal(store.kept, []int{1}) {
			t.Errorf("writes of %v, %v", store.kept, err)
		}
	})
}
