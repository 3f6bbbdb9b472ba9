package cache

import (
	"sync/atomic"
	"time"
)

// trust is whether Redis is believed. Others may have been cut off together with this gateway, and have
// written what Redis does not know of: whoever could not reach it believes it again only when they have
// had the time to come back too.
type trust struct {
	// since is 0 while it is believed, lost from a failure to the next success, and after that the time
	// of that success, in nanoseconds of Unix time.
	since atomic.Int64
}

const lost = -1

// lose notes a failure.
func (t *trust) lose() { t.since.Store(lost) }

// waits tells whether there is no use in asking yet.
func (t *trust) waits() bool {
	since := t.since.Load()
	return since > 0 && time.Since(time.Unix(0, since)) < comeBack
}

// again notes a success, and tells whether Redis is believed.
func (t *trust) again() bool {
	since := t.since.Load()
	switch {
	case since == 0:
		return true
	case since == lost:
		t.since.CompareAndSwap(lost, time.Now().UnixNano())
		return false
	}
	return !t.waits() && t.since.CompareAndSwap(since, 0)
}
