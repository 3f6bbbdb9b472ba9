package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// forgotten is how long the broker keeps a follower that asks for nothing.
const forgotten = time.Minute

// EventsInfo returns the broker's state of the event stream: its creation time, its first and its last sequence.
func EventsInfo(ctx context.Context, js jetstream.JetStream) (*jetstream.StreamInfo, error) {
	stream, err := js.Stream(ctx, Events) // asks for the information too
	if err != nil {
		return nil, fmt.Errorf("look at the stream of events: %w", err)
	}
	return stream.CachedInfo(), nil
}

// Follow gives every event after the sequence to take, in order and with what it carries unless only headers are
// wanted, until ctx ends, the stream cannot be read, or take fails. It keeps no place: who follows again says where.
func Follow(ctx context.Context, js jetstream.JetStream, after uint64, headersOnly bool, handle func(jetstream.Msg) error) error {
	consumer, err := js.OrderedConsumer(ctx, Events, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1, HeadersOnly: headersOnly,
		InactiveThreshold: forgotten,
	})
	if err != nil {
		return fmt.Errorf("follow the stream of events: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("follow the stream of events: %w", err)
	}
	defer context.AfterFunc(ctx, messages.Stop)()
	defer messages.Stop()
	for {
		message, err := messages.Next()
		if err != nil {
			return fmt.Errorf("follow the stream of events: %w", err)
		}
		if err := handle(message); err != nil {
			return err
		}
	}
}
