// Package bus carries events and work between the parts of Sluice over NATS JetStream: embedded in this process, or
// remote.
//
// A message whose publish was acknowledged is on disk. With an embedded broker it survives kill -9, and a power cut
// unless Options.SyncInterval is set; a remote broker has its own settings. A committed outbox row reaches its stream
// at least once, and the rows of one entity in the order of their commits (see Relay). Repeats within DuplicateWindow
// are dropped by message id. A consumer receives every message until it has acknowledged it.
package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/worker"
)

// Options select and configure the broker. Only StoreDir is required.
type Options struct {
	URL      string // nats://, tls:// or ws://, comma-separated; "" embeds a broker
	StoreDir string // folder of the embedded broker's streams; one process at a time
	Name     string // name of this connection in the broker; default "sluice"

	CredentialsFile string      // a NATS .creds file; or user and password in URL
	TLS             *tls.Config // for a remote broker; nil uses the system's roots for tls://

	EventsMaxAge   time.Duration // maximum age of EVENTS; default DefaultEventsMaxAge
	EventsMaxBytes int64         // maximum size of EVENTS; default DefaultEventsMaxBytes
	Replicas       int           // of each stream in a cluster; 0 for as many as it allows, at most 3
	SyncInterval   time.Duration // interval of disk syncs of the embedded broker; 0 syncs before each ack

	Logger   *slog.Logger          // nil discards logs
	Registry prometheus.Registerer // nil exports no metrics
}

// The default bounds of EVENTS.
const (
	DefaultEventsMaxAge         = 72 * time.Hour
	DefaultEventsMaxBytes int64 = 1 << 30
)

func (o Options) withDefaults() Options {
	o.Name = orDefault(o.Name, "sluice")
	o.EventsMaxAge = orDefault(o.EventsMaxAge, DefaultEventsMaxAge)
	o.EventsMaxBytes = orDefault(o.EventsMaxBytes, DefaultEventsMaxBytes)
	o.Logger = orDefault(o.Logger, slog.New(slog.DiscardHandler))
	return o
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

func (o Options) check() error {
	switch {
	case o.URL == "" && o.StoreDir == "":
		return errors.New("an embedded broker needs a folder to keep its streams in")
	case o.EventsMaxAge < DuplicateWindow:
		return fmt.Errorf("events must be kept for %v at least, not %v", DuplicateWindow, o.EventsMaxAge)
	case o.EventsMaxBytes < minEventsMaxBytes:
		return fmt.Errorf("at least %d bytes of events must be kept, not %d", minEventsMaxBytes, o.EventsMaxBytes)
	case o.Replicas < 0 || o.Replicas > 5:
		return fmt.Errorf("a stream has at most 5 replicas, not %d", o.Replicas)
	case o.SyncInterval < 0:
		return fmt.Errorf("the sync interval cannot be %v", o.SyncInterval)
	}
	return nil
}

// ackTimeout bounds the wait for one acknowledgement.
const ackTimeout = 5 * time.Second

// Bus is a connection to the broker, and the broker itself when it is embedded. It is safe for concurrent use.
type Bus struct {
	options  Options
	logger   *slog.Logger
	broker   *broker // nil when remote
	conn     *nats.Conn
	closed   chan struct{} // closed when conn has closed for good
	js       jetstream.JetStream
	metrics  *metrics
	declared atomic.Bool // the streams exist

	declaredAt time.Time // used by Open, and then by Loop only
}

// Open starts the embedded broker, or connects to the remote one, which may be away: Ready returns an error until it
// is back, and Loop declares its streams.
func Open(ctx context.Context, options Options) (*Bus, error) {
	options = options.withDefaults()
	if err := options.check(); err != nil {
		return nil, err
	}
	b := &Bus{options: options, logger: options.Logger, closed: make(chan struct{})}
	if err := b.open(ctx, options); err != nil {
		// A context of its own, because ctx may have expired.
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
		defer cancel()
		return nil, errors.Join(err, b.Close(cleanup))
	}
	return b, nil
}

func (b *Bus) open(ctx context.Context, options Options) (err error) {
	var embedded *server.Server
	if options.URL == "" {
		if b.broker, err = startBroker(options); err != nil {
			return err
		}
		embedded = b.broker.server
	}
	if b.conn, err = b.connect(ctx, options, embedded); err != nil {
		return fmt.Errorf("reach the broker: %w", err)
	}
	if b.js, err = jetstream.New(b.conn, jetstream.WithPublishAsyncTimeout(ackTimeout)); err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	if b.metrics, err = newMetrics(options.Registry, b); err != nil {
		return err
	}
	if b.broker != nil {
		if err := b.broker.checkRecovered(ctx, b.js); err != nil {
			return err
		}
	}
	if err := b.declare(ctx); err != nil {
		if b.broker != nil {
			return err
		}
		b.logger.Warn("the broker is away: events wait until it is back", "error", err)
	}
	return nil
}

const (
	upkeepInterval  = 5 * time.Second
	upkeepBackoff   = time.Second // longer than the server needs to close its streams after a full disk
	declareInterval = time.Minute
)

// Loop declares the streams when the broker is available, and periodically: they get more replicas when the cluster
// has grown. It enables the streams of an embedded broker after its disk was full.
func (b *Bus) Loop() worker.Loop {
	return worker.Loop{Name: "event streams", Pass: b.upkeep, Interval: upkeepInterval, MinBackoff: upkeepBackoff}
}

func (b *Bus) upkeep(ctx context.Context) error {
	switch {
	case b.Ready() == nil && time.Since(b.declaredAt) < declareInterval:
		return nil
	case b.broker != nil && !b.broker.server.JetStreamEnabled() && b.declared.Swap(false):
		return b.connected() // the server still closes its streams: the next pass enables them
	case b.broker != nil:
		if err := b.broker.revive(ctx, b.js, b.options); err != nil {
			return err
		}
	}
	return b.declare(ctx)
}

func (b *Bus) declare(ctx context.Context) error {
	if err := b.connected(); err != nil {
		return err
	}
	if err := declareStreams(ctx, b.js, b.options); err != nil {
		return err
	}
	b.declaredAt = time.Now()
	b.declared.Store(true)
	return nil
}

// JetStream returns the client for other uses of streams, such as ordered consumers.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Ready returns UNAVAILABLE while the broker cannot be used; nil otherwise.
func (b *Bus) Ready() error {
	if err := b.connected(); err != nil {
		return err
	}
	if !b.declared.Load() {
		return errs.New(errs.Unavailable, errs.ReasonServiceDown, "the broker has no streams yet")
	}
	return nil
}

func (b *Bus) connected() error {
	if status := b.conn.Status(); status != nats.CONNECTED {
		return errs.New(errs.Unavailable, errs.ReasonServiceDown, "the broker is away (%s)", status)
	}
	if b.broker != nil && !b.broker.server.JetStreamEnabled() {
		return errs.New(errs.Unavailable, errs.ReasonServiceDown, "the broker has stopped its streams: see its log")
	}
	return nil
}

// Publish publishes m, and returns after the acknowledgement. A repeated ID within DuplicateWindow has no effect.
func (b *Bus) Publish(ctx context.Context, m Message) error {
	if _, err := b.js.PublishMsg(ctx, m.encode()); err != nil {
		return fmt.Errorf("publish %.100q: %w", m.Subject, err)
	}
	return nil
}

// Close flushes and closes the connection, then stops the embedded broker. When ctx expires it aborts both and
// returns an error. Stop relays and consumers first.
func (b *Bus) Close(ctx context.Context) error {
	b.metrics.unregister()
	err := b.disconnect(ctx)
	if b.broker != nil {
		err = errors.Join(err, b.broker.stop(ctx))
	}
	return err
}

func (b *Bus) disconnect(ctx context.Context) error {
	if b.conn == nil || b.conn.IsClosed() {
		return nil
	}
	if b.js != nil {
		b.js.CleanupPublisher()
	}
	if err := b.conn.Drain(); err != nil {
		b.conn.Close() // no connection to flush
	}
	select {
	case <-b.closed:
		return nil
	case <-ctx.Done():
		b.conn.Close()
		return fmt.Errorf("leave the broker: %w", ctx.Err())
	}
}
