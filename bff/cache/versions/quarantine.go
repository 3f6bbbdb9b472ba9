package versions

import (
	"sync/atomic"
	"time"
)

// quarantine is the time after a failure of Redis in which this gateway serves nothing from the cache: other gateways
// may have been cut off too, and their writes may not have invalidated their tags yet. It ends after the recovery
// time of a gateway, counted from the first success.
type quarantine struct {
	// since is 0 without a quarantine, failed from a failure to the next success, and then the time of that success
	// in nanoseconds of Unix time.
	since atomic.Int64
}

const failed = -1

func (q *quarantine) start() { q.since.Store(failed) }

// isRunning reports whether the quarantine cannot end yet, so that a lookup is useless.
func (q *quarantine) isRunning() bool {
	since := q.since.Load()
	return since > 0 && time.Since(time.Unix(0, since)) < recoveryTime
}

func (q *quarantine) succeed() bool {
	since := q.since.Load()
	switch {
	case since == 0:
		return true
	case since == failed:
		q.since.CompareAndSwap(failed, time.Now().UnixNano())
		return false
	}
	return !q.isRunning() && q.since.CompareAndSwap(since, 0)
}
