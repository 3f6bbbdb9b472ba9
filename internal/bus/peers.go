package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Notify sends data to the processes that listen to the subject now. It is not stored.
func (b *Bus) Notify(subject string, data []byte) error {
	if err := b.conn.Publish(subject, data); err != nil {
		return fmt.Errorf("notify %.100q: %w", subject, err)
	}
	return nil
}

// Listen passes notifications under the subject to handle, serially, until ctx ends. It returns at once.
func (b *Bus) Listen(ctx context.Context, subject string, handle func(data []byte)) error {
	subscription, err := b.conn.Subscribe(subject, func(m *nats.Msg) { handle(m.Data) })
	if err != nil {
		return fmt.Errorf("listen to %.100q: %w", subject, err)
	}
	context.AfterFunc(ctx, func() { _ = subscription.Unsubscribe() }) // fails when the connection is closed
	return nil
}
