package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/bff"
)

// askSubject is where gateways ask each other to tell Redis of a write: the tags, one a line.
const askSubject = "sluice.cache.ended"

// Neighbours lets a gateway that cannot reach Redis have another tell it of a write, before the write
// is answered. Without Redis there is nobody to tell.
func (c *Cache) Neighbours(conn *nats.Conn) (stop func() error, err error) {
	s, ok := c.versions.(*shared)
	if !ok {
		return func() error { return nil }, nil
	}
	subscription, err := conn.Subscribe(askSubject, s.tellForOther)
	if err != nil {
		return nil, fmt.Errorf("listen to other gateways: %w", err)
	}
	s.neighbour = func(ctx context.Context, tags []string) error {
		_, err := conn.RequestWithContext(ctx, askSubject, []byte(strings.Join(tags, "\n")))
		return err
	}
	return func() error {
		if err := subscription.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			return fmt.Errorf("stop listening to other gateways: %w", err)
		}
		return nil
	}, nil
}

// tellForOther answers only when Redis was told: whoever asks hears of nobody else.
func (s *shared) tellForOther(m *nats.Msg) {
	tags := strings.Split(string(m.Data), "\n")
	if len(tags) > maxDebts || slices.ContainsFunc(tags, unknownTag) {
		return
	}
	if s.tell(context.Background(), "", tags) == nil {
		_ = m.Respond(nil) // who does not hear it waits in vain, for a bounded time
	}
}

func unknownTag(tag string) bool {
	of, id, _ := strings.Cut(tag, " ")
	return !slices.Contains(kinds(), bff.Entity(of)) || len(id) > maxID
}
