package harness

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/bus"
)

// StoredEvents reads all events of the stream in the data folder. The program must have ended.
func StoredEvents(t *testing.T, data string) []bus.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Timeout)
	defer cancel()
	b, err := bus.Open(ctx, bus.Options{StoreDir: filepath.Join(data, "nats")})
	if err != nil {
		t.Fatalf("open the broker's folder: %v", err)
	}
	defer func() {
		if err := b.Close(context.WithoutCancel(ctx)); err != nil {
			t.Errorf("close the broker: %v", err)
		}
	}()
	stream, err := b.JetStream().Stream(ctx, bus.Events)
	if err != nil {
		t.Fatalf("find the stream: %v", err)
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatalf("read the stream: %v", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatalf("read the stream: %v", err)
	}
	defer messages.Stop()
	all := stream.CachedInfo().State.Msgs
	events := make([]bus.Message, 0, all)
	for uint64(len(events)) < all {
		delivery, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			t.Fatalf("read event %d of %d: %v", len(events), all, err)
		}
		event, err := bus.Decode(delivery)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, event)
	}
	return events
}

// Eventually polls until the condition is true. It fails the test after the limit.
func Eventually(t *testing.T, limit time.Duration, condition string, isTrue func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !isTrue() {
		if time.Now().After(deadline) {
			t.Fatalf("after %v it is not true that %s", limit, condition)
		}
		time.Sleep(20 * time.Millisecond) // between two polls
	}
}
