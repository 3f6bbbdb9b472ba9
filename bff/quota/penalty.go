package quota

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
)

// Bounds of a penalty. A retry before its RetryAfter adds one second to the penalty of the caller. The penalty decays
// by one second per second, and by more with each served request. A caller above the threshold is blocked. A page
// that retries one expensive query beside cheap ones stays far below it.
const (
	penaltyThreshold = 100 * time.Second
	penaltyMax       = penaltyThreshold + 10*time.Second
	penaltyDecay     = 4 * time.Second // with each served request
)

// record has the budget of a caller and its retry times, as of its last request. The balance is only in the ledger.
type record struct {
	blockedUntil *latestTime // of all callers

	mu         sync.Mutex
	left       bff.Budget
	measuredAt time.Time // when left was read

	document   uint64    // hash of the document that was refused last; 0 for none
	points     int       // cost of that document
	retryAt    time.Time // when the budget may have enough points for that document
	earliestAt time.Time // the earliest RetryAfter that has not passed
	decayedAt  time.Time // when the penalty is 0 again
}

func (r *record) update(document uint64, points int, left bff.Budget, refusal error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left.Limit != left.Limit {
		r.document, r.retryAt, r.earliestAt = 0, time.Time{}, time.Time{}
	}
	r.left, r.measuredAt = left, now
	if refusal == nil {
		r.decayedAt = r.decayedAt.Add(-penaltyDecay)
		return
	}
	early := now.Before(r.earliestAt)
	r.document, r.points, r.retryAt = document, points, now.Add(errs.From(refusal).RetryAfter-time.Millisecond)
	if early {
		r.penalize(now)
	}
	if !early || r.retryAt.Before(r.earliestAt) {
		r.earliestAt = r.retryAt
	}
	r.publishBlock(now)
}

// checkRepeat returns the wait of the document that was refused last, until its retry time; 0 admits it.
func (r *record) checkRepeat(document uint64, limit int, now time.Time) (left bff.Budget, points int, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait = r.retryAt.Sub(now)
	if r.document != document || r.left.Limit != limit || wait <= 0 {
		return bff.Budget{}, 0, 0
	}
	r.penalize(now)
	r.publishBlock(now)
	return r.left, r.points, wait
}

// checkBlock returns the wait of a caller whose penalty is above the threshold, until the earliest retry time; 0
// admits the caller.
func (r *record) checkBlock(limit int, now time.Time) (left bff.Budget, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait = r.earliestAt.Sub(now)
	if wait <= 0 || r.left.Limit != limit || !r.isBlocked(now) {
		return bff.Budget{}, 0
	}
	r.penalize(now)
	left = r.left
	left.Remaining = min(left.Remaining+int(left.RestorePerSecond*now.Sub(r.measuredAt).Seconds()), limit)
	return left, wait
}

// refunded admits the refused document, because the points may be enough now.
func (r *record) refunded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.document = 0
}

func (r *record) spentShare() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left.Limit == 0 {
		return 0
	}
	return 1 - float64(r.left.Remaining)/float64(r.left.Limit)
}

func (r *record) isBlocked(now time.Time) bool { return r.decayedAt.Sub(now) > penaltyThreshold }

func (r *record) publishBlock(now time.Time) {
	if r.isBlocked(now) {
		r.blockedUntil.extend(r.earliestAt)
	}
}

// penalize counts one early retry.
func (r *record) penalize(now time.Time) {
	if r.decayedAt.Before(now) {
		r.decayedAt = now
	}
	r.decayedAt = r.decayedAt.Add(time.Second)
	if limit := now.Add(penaltyMax); r.decayedAt.After(limit) {
		r.decayedAt = limit
	}
}

// latestTime is the latest of several times. It is safe for concurrent use.
type latestTime struct{ nanoseconds atomic.Int64 }

func (l *latestTime) extend(to time.Time) {
	for {
		at := l.nanoseconds.Load()
		if at >= to.UnixNano() || l.nanoseconds.CompareAndSwap(at, to.UnixNano()) {
			return
		}
	}
}

func (l *latestTime) after(now time.Time) bool { return l.nanoseconds.Load() > now.UnixNano() }
