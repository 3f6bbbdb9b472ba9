package loaders

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Root fields that have their answers go down when the last has, but do not wait for ever.
func TestRootFieldsGoDownTogether(t *testing.T) {
	t.Parallel()
	const never = -1
	for _, c := range []struct {
		name    string
		arrive  []time.Duration // when each field has its answer
		timeout time.Duration   // of the request
		want    time.Duration   // when the first goes down
	}{
		{"one goes at once", []time.Duration{0}, time.Minute, 0},
		{"all together", []time.Duration{0, time.Millisecond, 20 * time.Millisecond}, time.Minute, 20 * time.Millisecond},
		{"not for one that hangs", []time.Duration{0, never}, time.Minute, grace},
		{"not longer than the request", []time.Duration{0, never}, 7 * time.Millisecond, 7 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
				defer cancel()
				started := time.Now()
				together := NewTogether(len(c.arrive))
				for _, at := range c.arrive[1:] {
					if at != never {
						time.AfterFunc(at, together.Arrive)
					}
				}
				together.Arrive()
				together.Wait(ctx)
				if took := time.Since(started); took != c.want {
					t.Errorf("went down after %v, want %v", took, c.want)
				}
			})
		})
	}
}

func TestNoRootFieldsWaitForNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		NewTogether(0).Wait(t.Context())
		if took := time.Since(started); took != 0 {
			t.Errorf("waited %v", took)
		}
	})
}
