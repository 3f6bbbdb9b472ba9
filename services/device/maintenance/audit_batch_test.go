package maintenance

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slow is a store whose writes take the duration.
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

// One write stores all calls that arrive during another write, with a timeout of its own.
func TestAuditBatcherConcurrentCallsWritesOneBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, store := newAuditBatcher(), &slow{takes: writeTimeout - time.Second}
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if err := log.add(t.Context(), Call{Name: "StartStream"}, store.write); err != nil {
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

// A hanging store ends a call with an error, and does not block later calls.
func TestAuditBatcherHangingStoreEndsAfterTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, store := newAuditBatcher(), &slow{takes: time.Hour}
		began := time.Now()
		if err := log.add(t.Context(), Call{}, store.write); err == nil || time.Since(began) > writeTimeout {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		store.takes = 0
		if err := log.add(t.Context(), Call{}, store.write); err != nil || !slices.Equal(store.kept, []int{1}) {
			t.Errorf("writes of %v, %v", store.kept, err)
		}
	})
}
