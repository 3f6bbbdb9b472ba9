package bus

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of a message. HeaderID is JetStream's own, by which it drops repeats.
const (
	HeaderID   = jetstream.MsgIDHeader
	HeaderType = "Sluice-Event-Type" // "trip.changed"; events only
	HeaderTime = "Sluice-Event-Time" // RFC 3339 with nanoseconds, UTC
)

// Message is what goes over the bus. To publish one, Subject, ID, Data and Time count.
type Message struct {
	Subject    string
	ID         string // by which repeats are dropped; "" drops none
	Data       []byte
	Time       time.Time // when it happened; without HeaderTime, when the stream took it
	Sequence   uint64    // its place in the stream, from 1
	Deliveries int       // how often the consumer was given it, this time included

	delivery jetstream.Msg
}

// Decode reads a message that a JetStream consumer was given.
func Decode(delivery jetstream.Msg) (Message, error) {
	meta, err := delivery.Metadata()
	if err != nil {
		return Message{}, fmt.Errorf("read the delivery of %s: %w", delivery.Subject(), err)
	}
	headers := delivery.Headers()
	m := Message{
		Subject: delivery.Subject(), ID: headers.Get(HeaderID), Data: delivery.Data(), Time: meta.Timestamp.UTC(),
		Sequence: meta.Sequence.Stream, Deliveries: int(meta.NumDelivered), delivery: delivery,
	}
	if at, err := time.Parse(time.RFC3339Nano, headers.Get(HeaderTime)); err == nil {
		m.Time = at.UTC()
	}
	return m, nil
}

// InProgress gives the handler another ConsumerConfig.AckWait before the message goes to another.
func (m Message) InProgress() error {
	if m.delivery == nil {
		return nil // it was not delivered: made by a test
	}
	return m.delivery.InProgress()
}

func (m Message) encode() *nats.Msg {
	out := nats.NewMsg(m.Subject)
	out.Data = m.Data
	if m.ID != "" {
		out.Header.Set(HeaderID, m.ID)
	}
	if !m.Time.IsZero() {
		out.Header.Set(HeaderTime, m.Time.UTC().Format(time.RFC3339Nano))
	}
	if entity, change, _, err := ParseEventSubject(m.Subject); err == nil {
		out.Header.Set(HeaderType, entity+"."+change)
	}
	return out
}
