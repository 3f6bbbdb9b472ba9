package bus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/bus"
)

// What the MQTT listener of NATS stored and nobody handled is taken over once, and its streams are deleted. What cannot
// be taken over now is there at the next start.
func TestMigrateMQTTStoresMessagesThenDeletesStreams(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, bus.Options{StoreDir: dir})
	if found, err := b.MigrateMQTT(t.Context(), nil); err != nil || found {
		t.Fatalf("without streams: %t, %v", found, err)
	}
	js := b.JetStream()
	for name, subject := range map[string]string{"$MQTT_msgs": "$MQTT.msgs.>", "$MQTT_sess": "$MQTT.sess.>"} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}, Retention: jetstream.InterestPolicy}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := js.CreateConsumer(t.Context(), "$MQTT_msgs", jetstream.ConsumerConfig{
		Durable: "field", FilterSubjects: []string{"$MQTT.msgs.devices.*.telemetry", "$MQTT.msgs.devices.*.commands.ack"}, AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	const n = 700
	for i := range n {
		topic := "telemetry"
		if i == n-1 {
			topic = "commands.ack"
		}
		if _, err := js.Publish(t.Context(), "$MQTT.msgs.devices.d."+topic, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	away := errors.New("the store is away")
	if _, err := b.MigrateMQTT(t.Context(), func(context.Context, []bus.MQTTMessage) error { return away }); !errors.Is(err, away) {
		t.Fatalf("taken over although %v: %v", away, err)
	}
	// The consumer redelivers after its AckWait: shorten it for the test.
	if _, err := js.UpdateConsumer(t.Context(), "$MQTT_msgs", jetstream.ConsumerConfig{
		Durable: "field", FilterSubjects: []string{"$MQTT.msgs.devices.*.telemetry", "$MQTT.msgs.devices.*.commands.ack"},
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: 100 * time.Millisecond,
	}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	found, err := b.MigrateMQTT(t.Context(), func(_ context.Context, messages []bus.MQTTMessage) error {
		for _, m := range messages {
			if m.DeviceID != "d" || m.ArrivedAt.IsZero() {
				t.Errorf("taken over %+v", m)
			}
			seen[string(m.Data)] = m.Topic
		}
		return nil
	})
	if err != nil || !found || len(seen) != n || seen["0"] != "telemetry" || seen[fmt.Sprint(n-1)] != "commands/ack" {
		t.Errorf("taken over %d of %d messages, %t, %v", len(seen), n, found, err)
	}
	for _, name := range []string{"$MQTT_msgs", "$MQTT_sess"} {
		if _, err := js.Stream(t.Context(), name); !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
}
