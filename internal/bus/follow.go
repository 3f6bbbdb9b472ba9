package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// forgotten is how long the broker retains an inactive follower.
const forgotten = time.Minute

// EventsInfo returns the state of the event stream: creation time, first and last sequence.
func EventsInfo(ctx context.Context, js jetstream.JetStream) (*jetstream.StreamInfo, error) {
	stream, err := js.Stream(ctx, Events) // fetches the state too
	if err != nil {
		return nil, fmt.Errorf("look at the stream of events: %w", err)
	}
	return stream.CachedInfo(), nil
}

// Follow passes every event after the sequence to handle, in order, until ctx ends, the stream cannot be read, or
// handle fails. headersOnly omits the payloads. The caller stores its own position.
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
