package bus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/testserver"
	"github.com/sluicehq/sluice/internal/worker"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		publishUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

// soon bounds every wait of these tests.
const soon = 30 * time.Second

// small is enough to keep for a test.
const small = 16 << 20

func open(t *testing.T, options bus.Options) *bus.Bus {
	t.Helper()
	options.EventsMaxBytes = small
	if options.Logger == nil {
		options.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	b, err := bus.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeBus(t, b) })
	return b
}

func closeBus(t *testing.T, b *bus.Bus) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func openEmbedded(t *testing.T) *bus.Bus {
	t.Helper()
	return open(t, bus.Options{StoreDir: t.TempDir()})
}

func openRemote(t *testing.T) *bus.Bus {
	t.Helper()
	return open(t, bus.Options{URL: testserver.StartNATS(t).URL()})
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	suite(t, openEmbedded)
}

func TestRemote(t *testing.T) {
	t.Parallel()
	suite(t, openRemote)
}

// suite is what holds wherever the broker is.
func suite(t *testing.T, open func(t *testing.T) *bus.Bus) {
	cases := map[string]func(*testing.T, *bus.Bus){
		"the streams are as declared":                                     streamsAsDeclared,
		"a repeated id is dropped":                                        repeatDropped,
		"a subject without a stream is refused":                           noStream,
		"the outbox reaches the stream in order":                          outboxInOrder,
		"what was there before the relay is relayed":                      outboxFromBefore,
		"two relays on one outbox repeat nothing":                         twoRelays,
		"an impossible event holds back its entity only":                  impossibleEvent,
		"a stopping relay leaves nothing behind":                          stoppingRelay,
		"a failed message comes again":                                    failedMessage,
		"a message is dropped after its last delivery after its last try": givenUp,
		"workers share the queue":                                         workersShare,
		"a handler in progress keeps its message":                         inProgress,
		"stopping waits for the handler at work":                          stopWaits,
		"a handler past its time loses its context":                       stopAbandons,
		"a filter keeps the other subjects out":                           filtered,
		"closing the bus under a consumer ends it, loudly":                closedUnder,
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, open(t))
		})
	}
}

func streamsAsDeclared(t *testing.T, b *bus.Bus) {
	if err := b.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
	events := streamConfig(t, b, bus.Events)
	if events.Retention != jetstream.LimitsPolicy || events.Discard != jetstream.DiscardOld || events.Storage != jetstream.FileStorage ||
		events.MaxAge != bus.DefaultEventsMaxAge || events.MaxBytes != small || events.Duplicates != bus.DuplicateWindow {
		t.Errorf("%+v", events)
	}
	jobs := streamConfig(t, b, bus.Jobs)
	if jobs.Retention != jetstream.WorkQueuePolicy || jobs.Discard != jetstream.DiscardNew || jobs.Storage != jetstream.FileStorage || jobs.MaxBytes <= 0 {
		t.Errorf("%+v", jobs)
	}
}

func streamConfig(t *testing.T, b *bus.Bus, name string) jetstream.StreamConfig {
	t.Helper()
	return streamInfo(t, b, name).Config
}

func streamInfo(t *testing.T, b *bus.Bus, name string) *jetstream.StreamInfo {
	t.Helper()
	stream, err := b.JetStream().Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func repeatDropped(t *testing.T, b *bus.Bus) {
	m := event(ids.New(ids.Trip), "changed", "once")
	for range 3 {
		publish(t, b, m)
	}
	if n := streamInfo(t, b, bus.Events).State.Msgs; n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}

func noStream(t *testing.T, b *bus.Bus) {
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if err := b.Publish(ctx, bus.Message{Subject: "elsewhere.x"}); !errors.Is(err, jetstream.ErrNoStreamResponse) {
		t.Errorf("got %v", err)
	}
}

func event(id, change, data string) bus.Message {
	return bus.Message{Subject: "event.trip." + change + "." + id, ID: ids.New(ids.Event), Data: []byte(data), Time: time.Now()}
}

func publish(t *testing.T, b *bus.Bus, m bus.Message) {
	t.Helper()
	if err := b.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func TestOpeningAgainKeepsMessagesAndChangesLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, age := range []time.Duration{0, time.Hour, 5 * time.Hour} {
		b, err := bus.Open(t.Context(), bus.Options{StoreDir: dir, EventsMaxAge: age, EventsMaxBytes: (8 - 3*int64(i)) << 30})
		if err != nil {
			t.Fatal(err)
		}
		publish(t, b, event("trip_1", "changed", fmt.Sprint(i)))
		info := streamInfo(t, b, bus.Events)
		if int(info.State.Msgs) != i+1 {
			t.Errorf("open %d: %d messages", i, info.State.Msgs)
		}
		if age != 0 && info.Config.MaxAge != age {
			t.Errorf("open %d: kept for %v, want %v", i, info.Config.MaxAge, age)
		}
		closeBus(t, b)
	}
}

func TestEmbeddedFolderIsPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "bus")
	open(t, bus.Options{StoreDir: dir})
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	inUse := t.TempDir()
	open(t, bus.Options{StoreDir: inUse})
	notAFolder := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notAFolder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]bus.Options{
		"neither URL nor folder":             {},
		"a folder in use":                    {StoreDir: inUse},
		"a file for a folder":                {StoreDir: notAFolder},
		"credentials that are not there":     {URL: "nats://127.0.0.1:1", CredentialsFile: "/nowhere.creds"},
		"events kept shorter than their ids": {StoreDir: t.TempDir(), EventsMaxAge: time.Second},
		"no room for events":                 {StoreDir: t.TempDir(), EventsMaxBytes: 10},
		"six replicas":                       {StoreDir: t.TempDir(), Replicas: 6},
	}
	for name, options := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := bus.Open(t.Context(), options)
			if err == nil {
				closeBus(t, b)
				t.Fatal("opened")
			}
		})
	}
}

func TestAStreamThatCannotBeReadIsNotBegunAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, err := bus.Open(t.Context(), bus.Options{StoreDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, b, event("trip_1", "changed", "precious"))
	closeBus(t, b)
	meta := filepath.Join(dir, "jetstream", "$G", "streams", bus.Events, "meta.inf")
	if err := os.WriteFile(meta, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := bus.Open(t.Context(), bus.Options{StoreDir: dir}); err == nil {
		closeBus(t, b)
		t.Fatal("opened over a stream that cannot be read")
	}
}

func TestReadyAndMetricsTellTheBrokersState(t *testing.T) {
	t.Parallel()
	broker := testserver.StartNATS(t)
	registry := prometheus.NewRegistry()
	b := open(t, bus.Options{URL: broker.URL(), Registry: registry})
	if n := gauge(t, registry, "sluice_bus_up"); n != 1 {
		t.Errorf("up is %v while the broker runs", n)
	}
	broker.Kill(t)
	eventually(t, "the loss to be noticed", func() bool { return b.Ready() != nil })
	if code := errs.From(b.Ready()).Code; code != errs.Unavailable {
		t.Errorf("code %s", code)
	}
	if n := gauge(t, registry, "sluice_bus_up"); n != 0 {
		t.Errorf("up is %v while the broker is away", n)
	}
	broker.Start(t)
	eventually(t, "the connection to come back", func() bool { return b.Ready() == nil })
}

func TestEmbeddedBrokerRecoversAfterItsDiskWasFull(t *testing.T) {
	t.Parallel()
	b := openEmbedded(t)
	publish(t, b, event("trip_1", "changed", "before"))
	upkeep := worker.New(b.Loop(), worker.Options{})
	upkeep.Start(t.Context())
	t.Cleanup(func() { _ = upkeep.Stop(context.Background()) })
	if err := b.DisableStreams(); err != nil {
		t.Fatal(err)
	}
	if b.Ready() == nil {
		t.Error("ready without streams")
	}
	eventually(t, "the streams to be enabled again", func() bool { return b.Ready() == nil })
	publish(t, b, event("trip_1", "changed", "after"))
	if n := streamInfo(t, b, bus.Events).State.Msgs; n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

func TestCloseUnregistersItsMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	for range 2 {
		b, err := bus.Open(t.Context(), bus.Options{StoreDir: t.TempDir(), Registry: registry})
		if err != nil {
			t.Fatal(err)
		}
		closeBus(t, b)
	}
	if families, err := registry.Gather(); err != nil || len(families) != 0 {
		t.Errorf("%d metrics stay, %v", len(families), err)
	}
}

func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	b, err := bus.Open(t.Context(), bus.Options{StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Close(ended); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	if err := b.Close(t.Context()); err != nil { // the broker goes on stopping, and its folder is about to go
		t.Errorf("close again: %v", err)
	}
}

func gauge(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			metric := family.GetMetric()[0]
			return metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	return -1 // nothing has set it yet
}

// eventually looks again and again at what gives no signal.
func eventually(t *testing.T, what string, true func() bool) {
	t.Helper()
	deadline := time.After(soon)
	for !true() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// receive takes a value from a channel, or fails.
func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(soon):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}
