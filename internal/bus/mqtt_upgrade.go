package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Until the device service had its own listener, an MQTT listener of NATS stored the messages of devices in a stream.
// This file migrates unhandled messages and deletes the streams. Delete it when no installation of that version
// remains.

const (
	mqttStreams  = "$MQTT_" // prefix of the streams of the listener
	mqttStream   = "$MQTT_msgs"
	mqttSubject  = "$MQTT.msgs.devices."
	mqttConsumer = "field"
	mqttBatch    = 500
)

// MQTTMessage is a stored message of a device.
type MQTTMessage struct {
	DeviceID, Topic string
	Data            []byte
	ArrivedAt       time.Time
}

// MigrateMQTT passes the unhandled messages of the listener of NATS to process, and then deletes its streams. It
// reports whether there were any streams. An error of process ends it, and the next start retries.
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

// drainMQTT processes the messages that the device service had not acknowledged.
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
		// An unacknowledged delivery before a crash is redelivered after the consumer's AckWait.
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
				continue // not of a device: never handled before either
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
