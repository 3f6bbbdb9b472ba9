package abuse

import (
	"strings"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
)

// maxLoops bounds the targets per caller. A caller that cycles through more targets is in no loop.
const maxLoops = 32

// loops are the recent targets of a caller, the latest last. The lock of its record guards it.
type loops []loop

// loop counts one mutation of one entity.
type loop struct {
	target bff.Target
	began  time.Time // of the window
	count  int       // in the window
	since  time.Time // of the first refusal; zero for no loop
	trial  time.Time // of the last trial
}

// visit counts a mutation and refuses it above the limit; tripped for the first refusal.
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
	return at.retry(options, now)
}

// retry admits one trial after OpenFor. A second one at the rate of a loop is refused; OpenFor without a repetition
// ends the loop.
func (at *loop) retry(options Options, now time.Time) (refusal error, tripped bool) {
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

// find returns the loop of the target and moves it to the end. At the bound it replaces the oldest.
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
	if len(list) == maxLoops {
		list = append(list[:0], list[1:]...)
	}
	*l = append(list, found)
	return &(*l)[len(*l)-1]
}

func (at *loop) refusal(wait time.Duration, options Options) error {
	wait = max(wait.Truncate(time.Millisecond), 0) + time.Millisecond
	e := errs.New(errs.ResourceExhausted, ReasonLoop, "%s was called for %s more than %d times in %s, which looks like a loop: retry in %s",
		at.target.Mutation, at.target.Entity, options.Repeats, options.Window, wait)
	e.RetryAfter = wait
	return e
}

func (at *loop) view(options Options, now time.Time) *bff.CallerBreaker {
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
