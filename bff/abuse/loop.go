package abuse

import (
	"strings"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
)

// keptLoops is how many mutations and things are remembered of a caller: whoever goes round among more
// is in no loop.
const keptLoops = 32

// loops are what a caller did lately to what, the latest last. Its record's lock guards it.
type loops []loop

// loop is one mutation on one thing.
type loop struct {
	target bff.Target
	began  time.Time // of the window
	count  int       // in the window
	since  time.Time // when it was shut; zero while it never was, or has shown that it is no loop
	trial  time.Time // when it was last let in half-open
}

// visit counts a mutation, and refuses it when it is one too many; tripped tells the first refusal of
// several.
func (l *loops) visit(target bff.Target, options Options, now time.Time) (refusal error, tripped bool) {
	at := l.find(target, now)
	if at.since.IsZero() {
		if now.Sub(at.began) >= options.Window {
			at.began, at.count = now, 0
		}
		if at.count++; at.count <= options.Repeats {
			return nil, false
		}
		at.since = now
		return at.refusal(options.OpenFor, options), true
	}
	return at.again(options, now)
}

// again lets one in after a while; the next that comes as fast as a loop shuts it once more, and a
// while without any opens it for good.
func (at *loop) again(options Options, now time.Time) (refusal error, tripped bool) {
	opens := at.since.Add(options.OpenFor)
	if wait := opens.Sub(now); wait > 0 {
		return at.refusal(wait, options), false
	}
	if !at.trial.Before(opens) && now.Sub(at.trial) < options.Window/time.Duration(options.Repeats) {
		at.since = now
		return at.refusal(options.OpenFor, options), true
	}
	if now.Sub(opens) >= options.OpenFor {
		*at = loop{target: at.target, began: now, count: 1}
		return nil, false
	}
	at.trial = now
	return nil, false
}

// find gives the loop of the target, at the end of the list; the one that came before all others makes
// room.
func (l *loops) find(target bff.Target, now time.Time) *loop {
	list := *l
	found := loop{began: now}
	for i := range list {
		if list[i].target == target {
			found = list[i]
			list = append(list[:i], list[i+1:]...)
			break
		}
	}
	if found.target == (bff.Target{}) {
		found.target = bff.Target{Mutation: strings.Clone(target.Mutation), Entity: strings.Clone(target.Entity)}
	}
	if len(list) == keptLoops {
		list = append(list[:0], list[1:]...)
	}
	*l = append(list, found)
	return &(*l)[len(*l)-1]
}

func (at *loop) refusal(wait time.Duration, options Options) error {
	wait = max(wait.Truncate(time.Millisecond), 0) + time.Millisecond
	e := errs.New(errs.ResourceExhausted, ReasonLoop, "%s was called for %s more than %d times in %s, which looks like a loop: come back in %s",
		at.target.Mutation, at.target.Entity, options.Repeats, options.Window, wait)
	e.RetryAfter = wait
	return e
}

// tell is how the loop looks; nil while it is none.
func (at *loop) tell(options Options, now time.Time) *bff.CallerBreaker {
	opens := at.since.Add(options.OpenFor)
	if at.since.IsZero() || now.Sub(opens) >= options.OpenFor {
		return nil
	}
	told := &bff.CallerBreaker{
		Operation: bff.KindMutation, Mutation: &at.target.Mutation, Entity: &at.target.Entity,
		Reason: ReasonLoop, Since: at.since.UTC(), State: bff.BreakerHalfOpen,
	}
	if now.Before(opens) {
		opens = opens.UTC()
		told.State, told.RetryAt = bff.BreakerOpen, &opens
	}
	return told
}
