package quota

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
)

// How much haste is put up with. Each time that a caller comes back before it was told to adds a second
// of it, every second that passes takes one away, and everything that it gets takes away some more. A
// page that asks for something too dear beside what it can pay stays far below; so does whatever was on
// its way before it was told.
const (
	hasteAllowed = 100 * time.Second
	hasteKept    = hasteAllowed + 10*time.Second // however much there was
	hasteServed  = 4 * time.Second
)

// standing is what a caller had left and was told when it last came. It says nothing of what there is:
// only the ledger knows.
type standing struct {
	shuts *latest // of all callers

	mu   sync.Mutex
	left bff.Budget
	at   time.Time // of what is left

	document uint64    // that was refused last; 0 for none
	points   int       // that it costs
	until    time.Time // when there can be enough for it
	opens    time.Time // the earliest of the times that it was told, while that is to come
	calm     time.Time // when all its haste will be forgotten
}

// took is told what came of taking points.
func (s *standing) took(document uint64, points int, left bff.Budget, refusal error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left.Limit != left.Limit {
		s.document, s.until, s.opens = 0, time.Time{}, time.Time{}
	}
	s.left, s.at = left, now
	if refusal == nil {
		s.calm = s.calm.Add(-hasteServed)
		return
	}
	early := now.Before(s.opens)
	s.document, s.points, s.until = document, points, now.Add(errs.From(refusal).RetryAfter-time.Millisecond)
	if early {
		s.hasten(now)
	}
	if !early || s.until.Before(s.opens) {
		s.opens = s.until
	}
	s.note(now)
}

// again refuses the document that was refused last, until the time that was told.
func (s *standing) again(document uint64, limit int, now time.Time) (left bff.Budget, points int, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait = s.until.Sub(now)
	if s.document != document || s.left.Limit != limit || wait <= 0 {
		return bff.Budget{}, 0, 0
	}
	s.hasten(now)
	s.note(now)
	return s.left, s.points, wait
}

// shut refuses whatever there is to refuse, until the earliest time that was told, when there was too
// much haste.
func (s *standing) shut(limit int, now time.Time) (left bff.Budget, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait = s.opens.Sub(now)
	if wait <= 0 || s.left.Limit != limit || !s.hasty(now) {
		return bff.Budget{}, 0
	}
	s.hasten(now)
	left = s.left
	left.Remaining = min(left.Remaining+int(left.RestorePerSecond*now.Sub(s.at).Seconds()), limit)
	return left, wait
}

// given is told that there may be enough now for what was refused.
func (s *standing) given() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.document = 0
}

// spent is the share of the budget that was spent, 0 to 1.
func (s *standing) spent() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left.Limit == 0 {
		return 0
	}
	return 1 - float64(s.left.Remaining)/float64(s.left.Limit)
}

// hasty tells whether there was too much haste.
func (s *standing) hasty(now time.Time) bool { return s.calm.Sub(now) > hasteAllowed }

// note has all know that somebody is shut out.
func (s *standing) note(now time.Time) {
	if s.hasty(now) {
		s.shuts.extend(s.opens)
	}
}

// hasten counts a return before the time.
func (s *standing) hasten(now time.Time) {
	if s.calm.Before(now) {
		s.calm = now
	}
	s.calm = s.calm.Add(time.Second)
	if latest := now.Add(hasteKept); s.calm.After(latest) {
		s.calm = latest
	}
}

// latest is the latest of times. It is safe for concurrent use.
type latest struct{ nanoseconds atomic.Int64 }

func (l *latest) extend(to time.Time) {
	for {
		at := l.nanoseconds.Load()
		if at >= to.UnixNano() || l.nanoseconds.CompareAndSwap(at, to.UnixNano()) {
			return
		}
	}
}

func (l *latest) after(now time.Time) bool { return l.nanoseconds.Load() > now.UnixNano() }
