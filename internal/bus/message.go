package bus

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of a message. JetStream drops repeats by HeaderID.
const (
	HeaderID   = jetstream.MsgIDHeader
	HeaderType = "Sluice-Event-Type" // "trip.changed"; events only
	HeaderTime = "Sluice-Event-Time" // RFC 3339 with nanoseconds, UTC
)

// Message is a message on the bus. Publish uses Subject, ID, Data and Time.
type Message struct {
	Subject    string
	ID         string // for deduplication; "" disables it
	Data       []byte
	Time       time.Time // of the event; without HeaderTime, of its arrival in the stream
	Sequence   uint64    // position in the stream, from 1
	Deliveries int       // number of deliveries to the consumer, this one included

	delivery jetstream.Msg
}

// Decode reads a delivered message.
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

// InProgress extends the handler's time by ConsumerConfig.AckWait.
func (m Message) InProgress() error {
	if m.delivery == nil {
		return nil // a test created it
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
