// Package abuse watches how callers behave: what they ask, how it ends, and whether they should be
// left alone with it for a while.
//
// A caller has a breaker for each kind of operation. When nearly all that it asks keeps failing by its
// own fault it is refused at once, CALLER_TRIPPED, until a trial shows that it has mended. Whoever does
// the same to the same thing again and again is refused just that, MUTATION_LOOP. What fails by our
// fault never counts against a caller.
//
// It promises: a refusal says when to come back, and costs no more than a look at a table; a bounded
// number of callers is kept; at the bound those with the fewest requests are evicted first. Each gateway
// watches for itself.
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

// Options say what is too much.
type Options struct {
	Window   time.Duration // in which failures and repeats are counted
	Failures int           // by the caller's fault in the window, of one kind of operation
	Repeats  int           // of one mutation on one thing in the window
	OpenFor  time.Duration // until a trial
	Kept     int           // callers
	Key      func(ctx context.Context) string
	Registry prometheus.Registerer // nil: nobody looks
}

// Reasons of refusals.
const (
	ReasonTripped = "CALLER_TRIPPED"
	ReasonLoop    = "MUTATION_LOOP"
)

// Callers is how all callers behave. It is safe for concurrent use.
type Callers struct {
	options  Options
	known    *otter.Cache[string, *record]
	refusals []prometheus.Counter // by reason
	trips    *prometheus.CounterVec
}

var _ bff.Abuse = (*Callers)(nil)

// New watches callers that nothing is known of.
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
		c.refusals = append(c.refusals, refusals.WithLabelValues(reason)) // 0 is told too
	}
	for _, reason := range []string{ReasonTripped, ReasonLoop} {
		c.trips.WithLabelValues(reason)
	}
	if options.Registry != nil {
		options.Registry.MustRegister(refusals, c.trips)
	}
	return c
}

// of finds the record of the context's caller, or makes it.
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

// Admit refuses a caller whose operations of the kind kept failing by its own fault.
func (c *Callers) Admit(ctx context.Context, kind bff.OperationKind) error {
	return c.of(ctx).admit(kind, time.Now())
}

// Repeat refuses a caller that does the same to the same thing in a loop.
func (c *Callers) Repeat(ctx context.Context, targets []bff.Target) error {
	if len(targets) == 0 {
		return nil
	}
	return c.of(ctx).repeat(targets, time.Now())
}

// Unread refuses a document before it is read, if whatever it may be is refused: a text without the
// word mutation is none. It takes no trial.
func (c *Callers) Unread(ctx context.Context, document string) error {
	r, known := c.known.GetIfPresent(c.options.Key(ctx))
	if !known || document == "" {
		return nil // known by its hash alone
	}
	now := time.Now()
	err := r.shut(bff.KindQuery, now)
	if err != nil && strings.Contains(document, "mutation") {
		err = r.shut(bff.KindMutation, now)
	}
	if err != nil && strings.Contains(document, "subscription") {
		err = r.shut(bff.KindSubscription, now)
	}
	return err
}

// Note is told how every operation ended.
func (c *Callers) Note(ctx context.Context, outcome bff.Outcome) {
	if outcome.Refused != "" {
		c.refusals[reasonOf(outcome.Refused)].Inc()
	}
	c.of(ctx).note(outcome, time.Now())
}

// Refused is Note for a request of which nothing is known but whose it is. The key is that of the
// options.
func (c *Callers) Refused(who caller.Caller, key, reason string) {
	c.refusals[reasonOf(reason)].Inc()
	c.find(key, who).note(bff.Outcome{Refused: reason}, time.Now())
}

// Verify verifies what the context's network presents, before there is a caller in the context. A network of
// whose credentials nearly none hold is refused before anything is verified.
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

// presented is told whether credentials held.
func (c *Callers) presented(ctx context.Context, held bool) {
	if !held {
		c.Note(ctx, bff.Outcome{Kind: bff.KindCredentials, Fault: bff.FaultCaller})
		return
	}
	if r, known := c.known.GetIfPresent(c.options.Key(ctx)); known {
		r.held()
	}
}

// Release lets a caller in again.
func (c *Callers) Release(_ context.Context, name string) (*bff.CallerUsage, error) {
	r, known := c.known.GetIfPresent(name)
	if !known {
		return nil, errs.Missing("caller", name)
	}
	r.release()
	return r.usage(bff.LastHour, time.Now()), nil
}

// record is what is known of one caller.
type record struct {
	name    string
	who     caller.Caller
	options Options
	tripped func(reason string)

	mu       sync.Mutex
	seen     time.Time
	breakers map[bff.OperationKind]*breaker // those that something counts against
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

// shut is admit without a trial.
func (r *record) shut(kind bff.OperationKind, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.breakers[kind]; b != nil {
		return b.shut(now)
	}
	return nil
}

func (r *record) repeat(targets []bff.Target, now time.Time) error {
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

// held counts credentials that hold beside those that do not; the requests are those of their caller.
func (r *record) held() {
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
