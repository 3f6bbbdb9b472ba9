package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Until the device service accepted devices itself, an MQTT listener of NATS stored their messages in a stream. This
// file takes over what is left there, and deletes the streams. It can go when no installation of that time is left.

const (
	mqttStreams  = "$MQTT_" // prefix of the streams of the listener
	mqttStream   = "$MQTT_msgs"
	mqttSubject  = "$MQTT.msgs.devices."
	mqttConsumer = "field"
	mqttBatch    = 500
)

// MQTTMessage is a message of a device that the listener of NATS had stored.
type MQTTMessage struct {
	DeviceID, Topic string
	Data            []byte
	ArrivedAt       time.Time
}

// MigrateMQTT passes the messages that an MQTT listener of NATS stored and nobody handled to take, and deletes the
// streams of the listener. It returns whether there were any. A message for which take returns an error ends it, and
// the streams stay for the next start.
func (b *Bus) MigrateMQTT(ctx context.Context, process func(ctx context.Context, messages []MQTTMessage) error) (found bool, err error) {
	var names []string
	list := b.js.StreamNames(ctx)
	for name := range list.Name() {
		if strings.HasPrefix(name, mqttStreams) {
			names = append(names, name)
		}
	}
	if err := list.Err(); err != nil {
		return false, fmt.Errorf("list the streams: %w", err)
	}
	if len(names) == 0 {
		return false, nil
	}
	if err := b.drainMQTT(ctx, process); err != nil {
		return true, err
	}
	for _, name := range names {
		if err := b.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return true, fmt.Errorf("delete stream %s: %w", name, err)
		}
	}
	return true, nil
}

// drainMQTT handles what the consumer of the device service had not acknowledged.
func (b *Bus) drainMQTT(ctx context.Context, process func(ctx context.Context, messages []MQTTMessage) error) error {
	consumer, err := b.js.Consumer(ctx, mqttStream, mqttConsumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the consumer of devices: %w", err)
	}
	for {
		state, err := consumer.Info(ctx)
		if err != nil {
			return fmt.Errorf("read the consumer of devices: %w", err)
		}
		if state.NumPending == 0 && state.NumAckPending == 0 {
			return nil
		}
		// A delivery that was not acknowledged before a crash is redelivered after the consumer's AckWait.
		batch, err := consumer.Fetch(mqttBatch, jetstream.FetchMaxWait(fetchWait))
		if err != nil {
			return fmt.Errorf("fetch messages of devices: %w", err)
		}
		var messages []MQTTMessage
		var deliveries []jetstream.Msg
		for d := range batch.Messages() {
			deliveries = append(deliveries, d)
			rest, own := strings.CutPrefix(d.Subject(), mqttSubject)
			id, topic, named := strings.Cut(rest, ".")
			if !own || !named {
				continue // of no device: nobody handled it before either
			}
			m := MQTTMessage{DeviceID: id, Topic: strings.ReplaceAll(topic, ".", "/"), Data: d.Data()}
			if about, err := d.Metadata(); err == nil {
				m.ArrivedAt = about.Timestamp
			}
			messages = append(messages, m)
		}
		if err := process(ctx, messages); err != nil {
			return fmt.Errorf("take over messages of devices: %w", err)
		}
		for _, d := range deliveries {
			if err := d.DoubleAck(ctx); err != nil {
				return fmt.Errorf("acknowledge messages of devices: %w", err)
			}
		}
	}
}
