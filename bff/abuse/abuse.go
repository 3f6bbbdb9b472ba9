// Package abuse records the usage of callers, and refuses callers that misbehave for a while.
//
// A caller has a circuit breaker for each kind of operation. When nearly all of its operations fail by its own fault,
// they are refused at once (CALLER_TRIPPED) until a trial succeeds. A caller that repeats one mutation of one entity
// in a loop is refused this mutation only (MUTATION_LOOP). Failures of services never count against a caller. A
// refusal has a RetryAfter and costs one lookup. At the bound, callers with the fewest requests are evicted. Each
// gateway counts on its own.
package abuse

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// Options are the thresholds.
type Options struct {
	Window   time.Duration // in which failures and repeats are counted
	Failures int           // in the window, of one kind of operation
	Repeats  int           // of one mutation of one entity in the window
	OpenFor  time.Duration // until a trial
	Kept     int           // callers
	Key      func(ctx context.Context) string
	Registry prometheus.Registerer // nil exports no metrics
}

// Reasons of refusals.
const (
	ReasonTripped = "CALLER_TRIPPED"
	ReasonLoop    = "MUTATION_LOOP"
)

// Callers has the records of all callers. It is safe for concurrent use.
type Callers struct {
	options  Options
	known    *otter.Cache[string, *record]
	refusals []prometheus.Counter // by reason
	trips    *prometheus.CounterVec
}

var _ bff.Abuse = (*Callers)(nil)

// New returns Callers without records.
func New(options Options) *Callers {
	known := otter.Must(&otter.Options[string, *record]{
		MaximumSize: max(options.Kept, 1), Executor: func(evict func()) { evict() }, // the bound is exact
	})
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_refusals_total", Help: "Requests that the gate refused by itself, by reason.",
	}, []string{"reason"})
	c := &Callers{
		options: options, known: known,
		trips: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_callers_tripped_total", Help: "Times that a caller was refused for abuse, by reason.",
		}, []string{"reason"}),
	}
	for _, reason := range reasons {
		c.refusals = append(c.refusals, refusals.WithLabelValues(reason)) // exports 0 before the first refusal
	}
	for _, reason := range []string{ReasonTripped, ReasonLoop} {
		c.trips.WithLabelValues(reason)
	}
	if options.Registry != nil {
		options.Registry.MustRegister(refusals, c.trips)
	}
	return c
}

func (c *Callers) of(ctx context.Context) *record {
	return c.find(c.options.Key(ctx), caller.FromContext(ctx))
}

func (c *Callers) find(key string, who caller.Caller) *record {
	if r, known := c.known.GetIfPresent(key); known {
		return r
	}
	r := newRecord(key, who, c.options)
	r.tripped = func(reason string) { c.trips.WithLabelValues(reason).Inc() }
	r, _ = c.known.SetIfAbsent(key, r)
	return r
}

// Admit implements bff.Abuse.
func (c *Callers) Admit(ctx context.Context, kind bff.OperationKind) error {
	return c.of(ctx).admit(kind, time.Now())
}

// CheckLoop implements bff.Abuse.
func (c *Callers) CheckLoop(ctx context.Context, targets []bff.Target) error {
	if len(targets) == 0 {
		return nil
	}
	return c.of(ctx).checkLoop(targets, time.Now())
}

// Unread refuses a document before it is parsed, if the breakers of all its possible kinds are open. A text without
// the word mutation is no mutation. It uses no trial.
func (c *Callers) Unread(ctx context.Context, document string) error {
	r, known := c.known.GetIfPresent(c.options.Key(ctx))
	if !known || document == "" {
		return nil // known by its hash only
	}
	now := time.Now()
	err := r.check(bff.KindQuery, now)
	if err != nil && strings.Contains(document, "mutation") {
		err = r.check(bff.KindMutation, now)
	}
	if err != nil && strings.Contains(document, "subscription") {
		err = r.check(bff.KindSubscription, now)
	}
	return err
}

// Note implements bff.Abuse.
func (c *Callers) Note(ctx context.Context, outcome bff.Outcome) {
	if outcome.Refused != "" {
		c.refusals[reasonOf(outcome.Refused)].Inc()
	}
	c.of(ctx).note(outcome, time.Now())
}

// Refused records a refused request of which only the caller and its key are known.
func (c *Callers) Refused(who caller.Caller, key, reason string) {
	c.refusals[reasonOf(reason)].Inc()
	c.find(key, who).note(bff.Outcome{Refused: reason}, time.Now())
}

// Verify verifies the credentials of the context's network. It refuses without verifying if nearly all credentials of
// the network were invalid.
func (c *Callers) Verify(ctx context.Context, verify func() (caller.Caller, error)) (caller.Caller, error) {
	if err := c.Admit(ctx, bff.KindCredentials); err != nil {
		c.Note(ctx, bff.Outcome{Kind: bff.KindCredentials, Refused: ReasonTripped})
		return caller.Caller{}, err
	}
	who, err := verify()
	if err == nil || errs.From(err).Code == errs.Unauthenticated {
		c.presented(ctx, err == nil)
	}
	return who, err
}

func (c *Callers) presented(ctx context.Context, verified bool) {
	if !verified {
		c.Note(ctx, bff.Outcome{Kind: bff.KindCredentials, Fault: bff.FaultCaller})
		return
	}
	if r, known := c.known.GetIfPresent(c.options.Key(ctx)); known {
		r.countVerified()
	}
}

// Release implements bff.Abuse.
func (c *Callers) Release(_ context.Context, name string) (*bff.CallerUsage, error) {
	r, known := c.known.GetIfPresent(name)
	if !known {
		return nil, errs.Missing("caller", name)
	}
	r.release()
	return r.usage(bff.LastHour, time.Now()), nil
}

// record is the state of one caller.
type record struct {
	name    string
	who     caller.Caller
	options Options
	tripped func(reason string)

	mu       sync.Mutex
	seen     time.Time
	breakers map[bff.OperationKind]*breaker // breakers with counted failures
	loops    loops
	tally    tally
}

func newRecord(name string, who caller.Caller, options Options) *record {
	return &record{
		name: strings.Clone(name), who: caller.Caller{AccountID: who.AccountID, APIKeyID: who.APIKeyID}, options: options,
		breakers: map[bff.OperationKind]*breaker{},
	}
}

func (r *record) admit(kind bff.OperationKind, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.breakers[kind]; b != nil {
		return b.admit(now)
	}
	return nil
}

// check is admit without using the trial.
func (r *record) check(kind bff.OperationKind, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.breakers[kind]; b != nil {
		return b.check(now)
	}
	return nil
}

func (r *record) checkLoop(targets []bff.Target, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, target := range targets {
		err, tripped := r.loops.visit(target, r.options, now)
		if tripped {
			r.tripped(ReasonLoop)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *record) note(outcome bff.Outcome, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = now
	r.tally.add(outcome, now)
	if outcome.Refused != "" || outcome.Kind == "" {
		return
	}
	b := r.breakers[outcome.Kind]
	if b == nil {
		if outcome.Fault != bff.FaultCaller {
			return // nothing counts against it
		}
		b = newBreaker(outcome.Kind, r.options, func() { r.tripped(ReasonTripped) })
		r.breakers[outcome.Kind] = b
	}
	b.note(outcome.Fault)
}

// countVerified counts valid credentials, so that a network with mixed clients stays open.
func (r *record) countVerified() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.breakers[bff.KindCredentials]; b != nil {
		b.note(bff.FaultNone)
	}
}

func (r *record) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.breakers)
	r.loops = nil
}
