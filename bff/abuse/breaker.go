package abuse

import (
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
)

// failureShare opens the breaker, in percent: a caller with other successful work stays admitted.
const failureShare = 90

// buckets is the number of steps of the sliding window.
const buckets = 6

// breaker is the circuit breaker of one caller for one kind of operation. It receives outcomes when they are known,
// so an endless operation blocks nothing. The lock of its record guards it.
type breaker struct {
	kind    bff.OperationKind
	options Options
	circuit *gobreaker.CircuitBreaker[struct{}]
	since   time.Time // when it opened
	trial   time.Time // of the last trial
}

func newBreaker(kind bff.OperationKind, options Options, tripped func()) *breaker {
	b := &breaker{kind: kind, options: options}
	b.circuit = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Interval: options.Window, BucketPeriod: max(options.Window/buckets, 1), Timeout: options.OpenFor, MaxRequests: 1,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return int(c.TotalFailures) >= options.Failures && 100*int(c.TotalFailures) >= failureShare*int(c.Requests)
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
	_, _ = b.circuit.Execute(func() (struct{}, error) { // its callers check the state
		switch fault {
		case bff.FaultCaller:
			return struct{}{}, errFault
		case bff.FaultNone:
			return struct{}{}, nil
		}
		return struct{}{}, errNeither
	})
}

// trialEvery is the time between two trials of a half-open breaker, in case the last trial had no outcome.
const trialEvery = time.Second

// check refuses without using the trial.
func (b *breaker) check(now time.Time) error {
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
	if err := b.check(now); err != nil {
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
		"nearly all your requests of this kind (%s) failed by your fault: correct them and retry in %s", b.kind, wait)
	e.RetryAfter = wait
	return e
}

func (b *breaker) view() *bff.CallerBreaker {
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
