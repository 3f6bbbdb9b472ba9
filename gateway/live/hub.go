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
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/gqlrequest"
	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/gateway/live/frame"
	"github.com/sluicehq/sluice/gateway/live/selection"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
)

// Settings are the limits and timeouts of subscriptions. All are required.
type Settings struct {
	InitTimeout      time.Duration // from the upgrade to connection_init
	IdleTimeout      time.Duration // without a message or pong of the client; at least twice KeepAlive
	WriteTimeout     time.Duration // within which a client must accept some bytes
	KeepAlive        time.Duration // between pings to the client
	DrainTime        time.Duration // over which a drain closes the connections
	RequestTimeout   time.Duration // for a query, a mutation, or one execution of a subscription
	MaxTotal         int           // connections in total
	MaxConnections   int           // connections per caller
	MaxSubscriptions int           // operations per connection, running queries and mutations included
	MaxMessage       int64         // bytes of a client's message
	QueueBytes       int           // bytes in the queue of a slow consumer
	History          int           // events in memory for clients that resume
	HistoryBytes     int64
	Compression      bool // per message, when the client supports it
}

// Authenticator verifies credentials. Invalidate drops its cached verdict on an API key that has changed. Recheck returns those
// of the sessions of Watch that have ended.
type Authenticator interface {
	Caller(ctx context.Context, c auth.Credentials) (caller.Caller, error)
	Invalidate(id string)
	EndSession(id string)
	Watch(of auth.Session)
	Recheck(ctx context.Context) (ended []string)
}

// Options are the dependencies of a Hub.
type Options struct {
	JetStream jetstream.JetStream
	Decode    func(e *bff.Event, data []byte) error // sets Node and Facts
	Auth      Authenticator
	Secret    []byte   // of cursors, the same on all gateways
	Origins   []string // of pages that may connect, besides the gateway's own; "*" for all
	Settings  Settings
	Requests  gqlrequest.Limits // zero for the usual limits
	Clock     clock.Clock
	Logger    *slog.Logger
	Registry  prometheus.Registerer // nil: no metrics are exported
	Admission *admission.Controller // of the server that executes the operations
}

// maxExecuting is the number of groups per core that execute their operation at the same time.
const maxExecuting = 64

// Hub has the subscriptions of one gateway.
type Hub struct {
	settings  Settings
	requests  gqlrequest.Limits
	auth      Authenticator
	origins   []string
	clock     clock.Clock
	logger    *slog.Logger
	metrics   *metrics
	admission *admission.Controller
	cursors   *eventstream.Cursors
	source    *eventstream.Source
	shards    []*shard

	ctx       context.Context // of all goroutines of the hub
	cancel    context.CancelFunc
	work      sync.WaitGroup // all goroutines but the shards
	executing chan struct{}  // a semaphore: one element per group that executes
	draining  atomic.Bool
	nextShard atomic.Uint32

	closeOnce  sync.Once
	closeError error

	mu      sync.Mutex
	groups  map[string]*group
	index   *selection.Index[*group]
	callers map[string]int // number of connections per caller
	closed  bool

	revoked     [maxRevoked]string // the latest revoked credentials, a ring buffer
	revocations int
}

// joinTimeout bounds the wait of New for the stream.
const joinTimeout = 5 * time.Second

// New starts to follow the stream. While the broker is away, subscriptions are refused with EVENTS_UNAVAILABLE.
func New(ctx context.Context, options Options) (*Hub, error) {
	c, err := eventstream.NewCursors(options.Secret)
	if err != nil {
		return nil, err
	}
	s := eventstream.New(eventstream.Options{
		JetStream: options.JetStream, Decode: options.Decode, Cursors: c,
		History: options.Settings.History, HistoryBytes: int(options.Settings.HistoryBytes),
	})
	if options.JetStream.Conn().IsConnected() {
		joining, cancel := context.WithTimeout(ctx, joinTimeout)
		err := s.Join(joining)
		cancel()
		if err != nil {
			options.Logger.Warn("the stream of events is not available: subscriptions are refused until it is", "error", err)
		}
	}
	if options.Requests == (gqlrequest.Limits{}) {
		options.Requests = gqlrequest.Usual()
	}
	h := &Hub{
		settings: options.Settings, requests: options.Requests, auth: options.Auth, origins: options.Origins, clock: options.Clock, logger: options.Logger,
		cursors: c, source: s, groups: map[string]*group{}, index: selection.NewIndex[*group](), callers: map[string]int{}, admission: options.Admission,
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
	h.work.Go(h.recheckSessions)
	return h, nil
}

// recheckInterval is how often the sessions of connections are checked: a role can change without an event.
const recheckInterval = 400 * time.Millisecond

func (h *Hub) recheckSessions() {
	for h.ctx.Err() == nil {
		for _, id := range h.auth.Recheck(h.ctx) {
			h.post(task{revoke: id})
		}
		h.sleep(recheckInterval)
	}
}

const (
	followBackoff    = 100 * time.Millisecond
	followMaxBackoff = 5 * time.Second
)

// follow publishes the events of the stream to the groups until the hub ends. It retries while the broker is away.
func (h *Hub) follow() {
	wait := followBackoff
	for h.ctx.Err() == nil {
		before := h.source.Position()
		err := h.source.Follow(h.ctx, h.publish)
		if h.ctx.Err() != nil {
			return
		}
		if errors.Is(err, eventstream.ErrEpoch) {
			h.logger.Error("the stream of events was created anew: events of the old stream that subscribers have not received are lost")
			h.post(task{closeAll: &frame.Close{Code: frame.CloseRestart, Reason: "resume"}})
			_ = h.source.Restart(h.ctx) // on failure the next Follow returns ErrEpoch
		}
		if h.source.Position() > before {
			wait = followBackoff
		}
		h.logger.Warn("the stream of events is not available: subscribers wait", "error", err)
		h.sleep(wait)
		wait = min(2*wait, followMaxBackoff)
	}
}

func (h *Hub) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.ctx.Done():
	}
}

// publish enqueues an event for the groups that select it, and closes the connections of revoked credentials.
func (h *Hub) publish(e *eventstream.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	gap, isNew := h.source.Append(e)
	if gap != nil {
		h.index.All(func(g *group) { g.enqueue(gap) })
	}
	if !isNew {
		return
	}
	h.metrics.events.WithLabelValues(eventLabel(e.Entity)).Inc()
	h.index.Each(&e.Event, func(g *group) {
		if g.visibility.sees(e) {
			g.enqueue(e)
		}
	})
	switch e.Entity {
	case entity.APIKey:
		h.auth.Invalidate(e.ID)
	case entity.Session:
		h.auth.EndSession(e.ID)
	}
	switch {
	case e.Entity == entity.APIKey && e.Change == "rotated": // the key stays valid, with another secret
		h.post(task{revoke: e.ID})
	case e.Entity == entity.Session && e.Change == "ended", e.Entity == entity.APIKey && e.Change == "revoked":
		h.revoked[h.revocations%len(h.revoked)] = e.ID
		h.revocations++
		h.post(task{revoke: e.ID})
	}
}

// maxRevoked is the number of latest revocations in memory, for connections that are being set up.
const maxRevoked = 256

// wasRevoked reports whether the credential was revoked recently. A new connection checks it after its shard knows
// the credential, because the event may have passed since the verification.
func (h *Hub) wasRevoked(credential string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return credential != "" && slices.Contains(h.revoked[:], credential)
}

func (h *Hub) post(t task) {
	for _, s := range h.shards {
		s.post(t)
	}
}

func (h *Hub) pick() *shard {
	return h.shards[int(h.nextShard.Add(1))%len(h.shards)]
}

func draining() error {
	return errs.New(errs.Unavailable, "GATEWAY_DRAINING", "this gateway is going down: connect again")
}

func (h *Hub) checkCapacity() error {
	if h.draining.Load() {
		return draining()
	}
	if h.metrics.open() >= int64(h.settings.MaxTotal) {
		return errs.New(errs.ResourceExhausted, "TOO_MANY_CONNECTIONS", "this gateway holds %d connections already", h.settings.MaxTotal)
	}
	return nil
}

// acquireConnection counts a connection of the context's caller, by the key of budgets. release must be called at the
// end of the connection.
func (h *Hub) acquireConnection(ctx context.Context) (release func(), err error) {
	key := quota.Key(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.draining.Load() {
		return nil, draining()
	}
	if h.callers[key] >= h.settings.MaxConnections {
		return nil, errs.New(errs.ResourceExhausted, "TOO_MANY_CONNECTIONS", "there are %d connections of this caller already", h.settings.MaxConnections)
	}
	h.callers[key]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.callers[key]--; h.callers[key] == 0 {
			delete(h.callers, key)
		}
	}, nil
}

// start runs work on a goroutine that Close waits for. After Close it returns false.
func (h *Hub) start(work func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.work.Go(work)
	return true
}

// addressOf returns the client's address: that of the edge, else that of the peer.
func addressOf(r *http.Request) netip.Addr {
	if address := quota.Address(r.Context()); address.IsValid() {
		return address
	}
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // an address that cannot be parsed is not valid
	return peer.Addr()
}

// Drain closes the connections serially over the drain time, each after its queued messages and the responses to its
// running queries. It returns when all are closed. When ctx ends first, it closes the rest at once.
func (h *Hub) Drain(ctx context.Context) {
	h.mu.Lock()
	h.draining.Store(true)
	h.mu.Unlock()
	started := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for h.metrics.open() > 0 && ctx.Err() == nil {
		share := 1.0
		if elapsed := time.Since(started); elapsed < h.settings.DrainTime {
			share = float64(elapsed) / float64(h.settings.DrainTime)
		}
		h.post(task{drain: share})
		select {
		case <-tick.C:
		case <-ctx.Done():
			h.post(task{closeAll: goingDown()})
			return
		}
	}
}

func goingDown() *frame.Close {
	return &frame.Close{Code: frame.CloseRestart, Reason: "this gateway is going down: resume on another"}
}

// Close drains, ends the remaining connections, and waits for all goroutines. It is idempotent.
func (h *Hub) Close(ctx context.Context) error {
	h.closeOnce.Do(func() { h.closeError = h.close(ctx) })
	return h.closeError
}

// Abort ends all connections at once without a close frame, like a crash.
func (h *Hub) Abort() {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	h.closeOnce.Do(func() { h.closeError = h.close(cancelled) })
}

func (h *Hub) close(ctx context.Context) error {
	h.Drain(ctx)
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.post(task{abort: true})
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
	select { // aborted connections end at once
	case <-ended:
		return nil
	case <-time.After(2 * time.Second):
		return fmt.Errorf("subscriptions have not ended: %w", ctx.Err())
	}
}
