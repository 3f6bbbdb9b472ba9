package bus_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/internal/testserver"
	"github.com/sluicehq/sluice/internal/worker"
)

func newOutbox(t *testing.T) *sqldb.DB {
	t.Helper()
	return sqltest.OpenSQLite(t, sqldb.Schema{Files: fstest.MapFS{"migrations/00001_nothing.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}}})
}

// emit commits one event a subject, in one transaction.
func emit(t *testing.T, db *sqldb.DB, at time.Time, data string, subjects ...string) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
		for _, subject := range subjects {
			if err := tx.Emit(t.Context(), at, subject, []byte(data)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// startRelay runs a relay until stop is called or the test ends.
func startRelay(t *testing.T, b *bus.Bus, outbox bus.Outbox, options bus.RelayOptions) (stop func()) {
	t.Helper()
	return startLoggedRelay(t, b, outbox, options, slog.New(slog.DiscardHandler))
}

func startLoggedRelay(t *testing.T, b *bus.Bus, outbox bus.Outbox, options bus.RelayOptions, logger *slog.Logger) (stop func()) {
	t.Helper()
	options.Service = "trip"
	w := worker.New(bus.NewRelay(b, outbox, options).Loop(), worker.Options{Logger: logger})
	w.Start(context.Background())
	stop = func() {
		if err := w.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// waitEmpty waits until the outbox is empty.
func waitEmpty(t *testing.T, db *sqldb.DB) {
	t.Helper()
	eventually(t, "the outbox to be empty", func() bool { return pending(t, db) == 0 })
}

func pending(t *testing.T, db *sqldb.DB) int {
	t.Helper()
	events, err := db.PendingEvents(t.Context(), 10000)
	if err != nil {
		t.Fatal(err)
	}
	return len(events)
}

// stored reads the whole stream.
func stored(t *testing.T, b *bus.Bus) []*jetstream.RawStreamMsg {
	t.Helper()
	stream, err := b.JetStream().Stream(t.Context(), bus.Events)
	if err != nil {
		t.Fatal(err)
	}
	var all []*jetstream.RawStreamMsg
	for i := range streamInfo(t, b, bus.Events).State.LastSeq {
		m, err := stream.GetMsg(t.Context(), i+1)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func outboxInOrder(t *testing.T, b *bus.Bus) {
	db := newOutbox(t)
	startRelay(t, b, db, bus.RelayOptions{Poll: time.Hour}) // the signal alone must do
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	const changes, entities = 40, 10
	for i := range changes {
		var subjects []string
		for e := range entities {
			subjects = append(subjects, fmt.Sprintf("event.trip.changed.trip_%d", e))
		}
		emit(t, db, at, fmt.Sprint(i), subjects...)
	}
	waitEmpty(t, db)
	all := stored(t, b)
	if len(all) != changes*entities {
		t.Fatalf("%d events, want %d", len(all), changes*entities)
	}
	next := map[string]int{}
	for _, m := range all {
		if string(m.Data) != fmt.Sprint(next[m.Subject]) {
			t.Fatalf("%s: change %s, want %d", m.Subject, m.Data, next[m.Subject])
		}
		next[m.Subject]++
	}
	h := all[0].Header
	if h.Get(bus.HeaderTime) != "2026-03-01T12:00:00.123456Z" || h.Get(bus.HeaderType) != "trip.changed" || !strings.HasPrefix(h.Get(bus.HeaderID), "event_") {
		t.Errorf("headers %v", h)
	}
}

func outboxFromBefore(t *testing.T, b *bus.Bus) {
	db := newOutbox(t)
	for i := range 600 {
		emit(t, db, time.Now(), "", fmt.Sprintf("event.trip.changed.trip_%d", i))
	}
	<-db.Emitted() // as after a restart: nobody tells
	startRelay(t, b, db, bus.RelayOptions{Poll: time.Hour})
	waitEmpty(t, db)
	if n := len(stored(t, b)); n != 600 {
		t.Errorf("%d events, want 600", n)
	}
}

func twoRelays(t *testing.T, b *bus.Bus) {
	db := newOutbox(t)
	for range 2 {
		startRelay(t, b, db, bus.RelayOptions{Poll: time.Millisecond})
	}
	for i := range 200 {
		emit(t, db, time.Now(), fmt.Sprint(i), "event.trip.changed.trip_1")
	}
	waitEmpty(t, db)
	for i, m := range stored(t, b) {
		if string(m.Data) != fmt.Sprint(i) {
			t.Fatalf("event %d is change %s", i, m.Data)
		}
	}
}

func impossibleEvent(t *testing.T, b *bus.Bus) {
	limited := streamConfig(t, b, bus.Events)
	limited.MaxMsgSize = 1000
	if _, err := b.JetStream().UpdateStream(t.Context(), limited); err != nil {
		t.Fatal(err)
	}
	db := newOutbox(t)
	for size, subjects := range map[int][]string{
		0:       {"elsewhere.trip_1", "event.trip.changed.trip 2"}, // refused before they are sent
		2 << 20: {"event.trip.changed.trip_3"},
		2000:    {"event.trip.changed.trip_4"}, // refused by the stream
	} {
		emit(t, db, time.Now(), strings.Repeat("x", size), subjects...)
	}
	behind := []string{"event.trip.ended.trip_1", "event.trip.ended.trip 2", "event.trip.ended.trip_3", "event.trip.ended.trip_4"}
	emit(t, db, time.Now(), "", append(behind, "event.trip.changed.trip_5", "event.trip.changed.trip_6")...)
	startRelay(t, b, db, bus.RelayOptions{Poll: time.Millisecond})
	eventually(t, "the possible events", func() bool { return pending(t, db) == 8 })
	var got []string
	for _, m := range stored(t, b) {
		got = append(got, m.Subject)
	}
	if fmt.Sprint(got) != "[event.trip.changed.trip_5 event.trip.changed.trip_6]" {
		t.Errorf("relayed %v", got)
	}
}

func stoppingRelay(t *testing.T, b *bus.Bus) {
	db := newOutbox(t)
	stop := startRelay(t, b, db, bus.RelayOptions{Poll: time.Hour})
	for i := range 300 {
		emit(t, db, time.Now(), "", fmt.Sprintf("event.trip.changed.trip_%d", i))
	}
	stop()
	if n := pending(t, db); n != 0 {
		t.Errorf("%d events stay", n)
	}
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.b.String(), what)
}

func TestEventsWaitForABrokerThatIsAway(t *testing.T) {
	t.Parallel()
	broker := testserver.StartNATS(t)
	var log syncBuffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	b := open(t, bus.Options{URL: broker.URL(), Logger: logger})
	db := newOutbox(t)
	startLoggedRelay(t, b, db, bus.RelayOptions{Poll: 10 * time.Millisecond}, logger)
	const times, events = 3, 200
	for round := range times {
		for i := range events {
			if i == events/2 {
				broker.Kill(t) // while events are on their way
			}
			emit(t, db, time.Now(), fmt.Sprint(round*events+i), "event.trip.changed.trip_1", fmt.Sprintf("event.trip.seen.trip_%d_%d", round, i))
		}
		eventually(t, "the relay to log its failure", func() bool { return log.count("a worker failed") == round+1 })
		broker.Start(t)
		waitEmpty(t, db)
		eventually(t, "the relay to log its recovery", func() bool { return log.count("a worker recovered") == round+1 })
	}
	next := 0
	for _, m := range stored(t, b) {
		if m.Subject != "event.trip.changed.trip_1" {
			continue
		}
		if string(m.Data) != fmt.Sprint(next) {
			t.Fatalf("change %s, want %d", m.Data, next)
		}
		next++
	}
	if n := len(stored(t, b)); next != times*events || n != 2*next {
		t.Errorf("%d changes of %d events, want %d", next, n, times*events)
	}
}

func TestRelayMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	b := open(t, bus.Options{StoreDir: t.TempDir(), Registry: registry})
	db := newOutbox(t)
	now := clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	emit(t, db, now.Now().Add(-90*time.Second), "", "event.trip.changed.trip_1", "event.trip.changed.trip_2")
	emit(t, db, now.Now(), "", "elsewhere.trip_3")
	emit(t, db, now.Now().Add(-90*time.Second), "", "event.trip.changed.trip_4")
	now.Advance(30 * time.Second)
	startRelay(t, b, db, bus.RelayOptions{Poll: time.Millisecond, Clock: now})
	eventually(t, "three events to be counted", func() bool { return gauge(t, registry, "sluice_outbox_relayed_total") == 3 })
	eventually(t, "the age of the one that waits", func() bool { return gauge(t, registry, "sluice_outbox_lag_seconds") == 30 })
}
