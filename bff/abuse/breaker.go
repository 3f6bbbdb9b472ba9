package abuse

import (
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
)

// mostly is the share of operations that must fail, in percent: a caller with anything else to do is
// not shut out.
const mostly = 90

// buckets is in how many steps the window moves on.
const buckets = 6

// breaker is for one kind of operation of one caller. It is told outcomes when they are known, so that
// an operation that never ends holds up nothing. Its record's lock guards it.
type breaker struct {
	kind    bff.OperationKind
	options Options
	circuit *gobreaker.CircuitBreaker[struct{}]
	since   time.Time // when it opened
	trial   time.Time // when an operation was last let in half-open
}

func newBreaker(kind bff.OperationKind, options Options, tripped func()) *breaker {
	b := &breaker{kind: kind, options: options}
	b.circuit = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Interval: options.Window, BucketPeriod: max(options.Window/buckets, 1), Timeout: options.OpenFor, MaxRequests: 1,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return int(c.TotalFailures) >= options.Failures && 100*int(c.TotalFailures) >= mostly*int(c.Requests)
		},
		IsSuccessful: func(err error) bool { return err == nil },
		IsExcluded:   func(err error) bool { return errors.Is(err, errNeither) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				b.since, b.trial = time.Now(), time.Time{}
				tripped()
			}
		},
	})
	return b
}

var (
	errFault   = errors.New("the caller's fault")
	errNeither = errors.New("not the caller's doing")
)

func (b *breaker) note(fault bff.Fault) {
	_, _ = b.circuit.Execute(func() (struct{}, error) { // the state is asked for elsewhere
		switch fault {
		case bff.FaultCaller:
			return struct{}{}, errFault
		case bff.FaultNone:
			return struct{}{}, nil
		}
		return struct{}{}, errNeither
	})
}

// trialEvery is how often one operation is let in while the breaker is half-open: the last one may
// have told nothing.
const trialEvery = time.Second

// shut refuses without taking the trial.
func (b *breaker) shut(now time.Time) error {
	switch b.circuit.State() {
	case gobreaker.StateOpen:
		return b.refusal(b.since.Add(b.options.OpenFor).Sub(now))
	case gobreaker.StateHalfOpen:
		if wait := b.trial.Add(trialEvery).Sub(now); wait > 0 {
			return b.refusal(wait)
		}
	}
	return nil
}

func (b *breaker) admit(now time.Time) error {
	if err := b.shut(now); err != nil {
		return err
	}
	if b.circuit.State() == gobreaker.StateHalfOpen {
		b.trial = now
	}
	return nil
}

func (b *breaker) refusal(wait time.Duration) error {
	wait = max(wait.Truncate(time.Millisecond), 0) + time.Millisecond
	e := errs.New(errs.ResourceExhausted, ReasonTripped,
		"nearly all your requests of this kind (%s) kept failing by what they ask: mend them and come back in %s", b.kind, wait)
	e.RetryAfter = wait
	return e
}

// tell is how the breaker looks; nil while it lets all in.
func (b *breaker) tell() *bff.CallerBreaker {
	told := &bff.CallerBreaker{Operation: b.kind, Reason: ReasonTripped, Since: b.since.UTC()}
	switch b.circuit.State() {
	case gobreaker.StateOpen:
		at := b.since.Add(b.options.OpenFor).UTC()
		told.State, told.RetryAt = bff.BreakerOpen, &at
	case gobreaker.StateHalfOpen:
		told.State = bff.BreakerHalfOpen
	default:
		return nil
	}
	return told
}
