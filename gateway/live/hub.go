// Package live pushes what changes to whoever subscribed, over WebSocket and Server-Sent Events.
//
// It promises: per event, an operation runs once for all who asked the same and may see the same. A
// subscription has no holes and no repeats: each event carries its cursor, whoever comes back with
// one gets what came since, on any gateway, and what is no longer kept is told as a gap. Nobody waits
// for a slow reader: its queue is bounded, and when it is full it follows the stream by itself, at
// its own pace, until it has caught up.
//
// The way of an event: source reads the stream; Hub finds the groups that want it (index, filter,
// visibility); a group runs its operation; shards write the answer to the members. Nobody needs a
// goroutine or a timer to be subscribed.
package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/gateway/gqlrequest"
	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/gateway/live/filter"
	"github.com/sluicehq/sluice/gateway/live/frame"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
)

// Settings bound what subscribers may take. All must be set.
type Settings struct {
	InitTimeout      time.Duration // from the upgrade to connection_init
	IdleTimeout      time.Duration // without a sign of life; at least twice KeepAlive
	WriteTimeout     time.Duration // for a reader that takes nothing
	KeepAlive        time.Duration // between signs of life to the client
	DrainTime        time.Duration // over which closing is spread
	RequestTimeout   time.Duration // for a query, a mutation, or one run of a subscription
	MaxTotal         int           // connections, all together
	MaxConnections   int           // a caller
	MaxSubscriptions int           // a connection, queries and mutations that are running included
	MaxMessage       int64         // bytes that a client may send at once
	QueueBytes       int           // bytes that wait for a slow reader
	History          int           // events kept in memory for those who come back
	HistoryBytes     int64
	Compression      bool // per message, when the client can
}

// Authenticator tells who presents credentials. It is told of API keys that have changed.
type Authenticator interface {
	Caller(ctx context.Context, c auth.Credentials) (caller.Caller, error)
	Forget(id string)
}

// Options are what a Hub needs.
type Options struct {
	JetStream jetstream.JetStream
	Decode    func(e *bff.Event, data []byte) error // reads Node and Facts
	Auth      Authenticator
	Secret    []byte   // of cursors, the same on all gateways
	Origins   []string // whose pages may connect, beside the gateway's own; "*" for any
	Settings  Settings
	Requests  gqlrequest.Limits // none for the usual ones
	Clock     clock.Clock
	Logger    *slog.Logger
	Registry  prometheus.Registerer // nil: nobody looks
	// Enter lets an operation of the context's caller begin, or refuses it; leave is called once, when
	// it has ended, or when it is a subscription that has begun. Nil lets all in.
	Enter func(ctx context.Context, document string) (leave func(), err error)
	// Budgets are charged for documents that are refused before they have a price. Nil for none.
	Budgets bff.Budgets
}

// maxExecuting is how many groups run their operation at once, a core.
const maxExecuting = 64

// Hub is one gateway's subscriptions.
type Hub struct {
	settings Settings
	requests gqlrequest.Limits
	auth     Authenticator
	origins  []string
	clock    clock.Clock
	logger   *slog.Logger
	metrics  *metrics
	entered  func(ctx context.Context, document string) (leave func(), err error)
	budgets  bff.Budgets // nil for none
	cursors  *eventstream.Cursors
	source   *eventstream.Source
	shards   []*shard

	ctx       context.Context // of all that runs here
	cancel    context.CancelFunc
	work      sync.WaitGroup // everything but the shards
	executing chan struct{}  // one in it for each group that runs
	draining  atomic.Bool
	nextShard atomic.Uint32

	closing    sync.Once
	closeError error

	mu      sync.Mutex
	groups  map[string]*group
	index   *filter.Index[*group]
	callers map[string]int // connections
	closed  bool

	revoked     [revokedKept]string // credentials, the latest ones
	revocations int
}

// New looks at the stream and begins to follow it.
func New(ctx context.Context, options Options) (*Hub, error) {
	c, err := eventstream.NewCursors(options.Secret)
	if err != nil {
		return nil, err
	}
	s, err := eventstream.New(ctx, eventstream.Options{
		JetStream: options.JetStream, Decode: options.Decode, Cursors: c, History: options.Settings.History, HistoryBytes: int(options.Settings.HistoryBytes),
	})
	if err != nil {
		return nil, err
	}
	if options.Requests == (gqlrequest.Limits{}) {
		options.Requests = gqlrequest.Usual()
	}
	h := &Hub{
		settings: options.Settings, requests: options.Requests, auth: options.Auth, origins: options.Origins, clock: options.Clock, logger: options.Logger,
		cursors: c, source: s, groups: map[string]*group{}, index: filter.NewIndex[*group](), callers: map[string]int{}, entered: options.Enter, budgets: options.Budgets,
		executing: make(chan struct{}, maxExecuting*runtime.GOMAXPROCS(0)),
	}
	if h.metrics, err = newMetrics(options.Registry, h); err != nil {
		return nil, err
	}
	h.ctx, h.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for range runtime.GOMAXPROCS(0) {
		h.shards = append(h.shards, newShard(h))
	}
	for _, s := range h.shards {
		go s.run()
	}
	h.work.Go(h.follow)
	return h, nil
}

const (
	feedBackoff    = 100 * time.Millisecond
	feedMaxBackoff = 5 * time.Second
)

// follow feeds the stream to the groups until the hub ends. A broker that is away is waited for.
func (h *Hub) follow() {
	wait := feedBackoff
	for h.ctx.Err() == nil {
		before := h.source.Position()
		err := h.source.Follow(h.ctx, h.publish)
		if h.ctx.Err() != nil {
			return
		}
		if errors.Is(err, eventstream.ErrEpoch) {
			h.beginAnew()
		}
		if h.source.Position() > before {
			wait = feedBackoff
		}
		h.logger.Warn("the stream of events is away: subscribers wait", "error", err)
		h.pause(wait)
		wait = min(2*wait, feedMaxBackoff)
	}
}

func (h *Hub) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.ctx.Done():
	}
}

// publish hands an event to the groups that want it.
func (h *Hub) publish(e *eventstream.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	lost, fresh := h.source.Append(e)
	if lost != nil {
		h.index.All(func(g *group) { g.enqueue(lost) })
	}
	if !fresh {
		return
	}
	h.metrics.events.WithLabelValues(eventLabel(e.Entity)).Inc()
	h.index.Each(&e.Event, func(g *group) {
		if g.visibility.sees(e) {
			g.enqueue(e)
		}
	})
	if e.Entity == bff.EntityAPIKey {
		h.auth.Forget(e.ID)
	}
	switch {
	case e.Entity == bff.EntityAPIKey && e.Change == "rotated": // it lives on, under another secret
		h.post(item{revoke: e.ID})
	case e.Entity == bff.EntitySession && e.Change == "ended", e.Entity == bff.EntityAPIKey && e.Change == "revoked":
		h.revoked[h.revocations%len(h.revoked)] = e.ID
		h.revocations++
		h.post(item{revoke: e.ID})
	}
}

// beginAnew is for a stream that lost everything: all come back, and are told of the gap.
func (h *Hub) beginAnew() {
	h.logger.Error("the stream of events was made anew: what subscribers have not seen of the old one is lost")
	h.post(item{closing: &frame.Close{Code: frame.CloseRestart, Reason: "resume"}})
	_ = h.source.Restart(h.ctx) // when it fails, follow finds the new stream once more
}

// revokedKept is how many revocations are remembered, for who is being let in just then.
const revokedKept = 256

// wasRevoked tells whether the credential was revoked lately. Who has verified one, and is known to its
// shard under it, asks once more: the event may have passed in between.
func (h *Hub) wasRevoked(credential string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return credential != "" && slices.Contains(h.revoked[:], credential)
}

// post gives the item to every shard.
func (h *Hub) post(i item) {
	for _, s := range h.shards {
		s.post(i)
	}
}

// pick spreads connections over the shards.
func (h *Hub) pick() *shard {
	return h.shards[int(h.nextShard.Add(1))%len(h.shards)]
}

// accepts tells why no connection can be taken, if so.
func (h *Hub) accepts() error {
	if h.draining.Load() {
		return errs.New(errs.Unavailable, "GATEWAY_DRAINING", "this gateway is going down: connect again")
	}
	if h.metrics.open() >= int64(h.settings.MaxTotal) {
		return errs.New(errs.ResourceExhausted, "TOO_MANY_CONNECTIONS", "this gateway holds %d connections already", h.settings.MaxTotal)
	}
	return nil
}

// admit counts a connection of the context's caller, who is the same as for budgets; release has to be called when it has ended.
func (h *Hub) admit(ctx context.Context) (release func(), err error) {
	who := quota.Key(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.draining.Load() {
		return nil, errs.New(errs.Unavailable, "GATEWAY_DRAINING", "this gateway is going down: connect again")
	}
	if h.callers[who] >= h.settings.MaxConnections {
		return nil, errs.New(errs.ResourceExhausted, "TOO_MANY_CONNECTIONS", "there are %d connections of this caller already", h.settings.MaxConnections)
	}
	h.callers[who]++
	return func() { h.release(who) }, nil
}

func (h *Hub) release(who string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.callers[who]--; h.callers[who] == 0 {
		delete(h.callers, who)
	}
}

// begin runs the work of a connection until it ends by itself; it is not begun when the hub has ended.
func (h *Hub) begin(work func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.work.Go(work)
	return true
}

// addressOf is where a request comes from: as the entrance found out, else its peer.
func addressOf(r *http.Request) netip.Addr {
	if address := quota.Address(r.Context()); address.IsValid() {
		return address
	}
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // one that does not read is not valid
	return peer.Addr()
}

// letIn lets an operation of the context's caller begin; leave is called when it has ended.
func (h *Hub) letIn(ctx context.Context, document string) (leave func(), err error) {
	if h.entered == nil {
		return func() {}, nil
	}
	return h.entered(ctx, document)
}

// Drain tells every client to come back elsewhere, one after another over the drain time, each after
// its last queued message, and after the answers to the queries that it has running. It returns when all
// have gone, or ctx ends: whoever is left then is told to come back without more ado.
func (h *Hub) Drain(ctx context.Context) {
	h.mu.Lock()
	h.draining.Store(true)
	h.mu.Unlock()
	started := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for h.metrics.open() > 0 && ctx.Err() == nil {
		h.post(item{drain: h.share(time.Since(started))})
		select {
		case <-tick.C:
		case <-ctx.Done():
			h.post(item{closing: goingDown()})
			return
		}
	}
}

func goingDown() *frame.Close {
	return &frame.Close{Code: frame.CloseRestart, Reason: "this gateway is going down: resume on another"}
}

// share is how much of the connections should be gone by now, from 0 to 1.
func (h *Hub) share(elapsed time.Duration) float64 {
	if elapsed >= h.settings.DrainTime {
		return 1
	}
	return float64(elapsed) / float64(h.settings.DrainTime)
}

// Close drains, ends what is left, and waits for it. Once more does nothing.
func (h *Hub) Close(ctx context.Context) error {
	h.closing.Do(func() { h.closeError = h.close(ctx) })
	return h.closeError
}

// Abort is Close without a word to anybody, as when the process dies.
func (h *Hub) Abort() {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	h.closing.Do(func() { h.closeError = h.close(gone) })
}

func (h *Hub) close(ctx context.Context) error {
	h.Drain(ctx)
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.post(item{abort: true})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.work.Wait()
		for _, s := range h.shards {
			s.stop()
		}
	}()
	h.metrics.unregister()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	select { // what was aborted ends at once
	case <-ended:
		return nil
	case <-time.After(2 * time.Second):
		return fmt.Errorf("subscriptions go on: %w", ctx.Err())
	}
}
