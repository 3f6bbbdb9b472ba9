package versions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/bff/cache/policy"
)

// peerSubject is the subject of requests between gateways to invalidate tags in Redis: one tag per line.
const peerSubject = "sluice.cache.ended"

// ListenToPeers serves invalidation requests of gateways that cannot reach Redis, and lets this gateway send such
// requests before a write of its own returns. stop ends both.
func (s *Shared) ListenToPeers(conn *nats.Conn) (stop func() error, err error) {
	subscription, err := conn.Subscribe(peerSubject, s.servePeer)
	if err != nil {
		return nil, fmt.Errorf("subscribe to invalidations of other gateways: %w", err)
	}
	s.askPeer = func(ctx context.Context, tags []string) error {
		_, err := conn.RequestWithContext(ctx, peerSubject, []byte(strings.Join(tags, "\n")))
		return err
	}
	return func() error {
		if err := subscription.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			return fmt.Errorf("unsubscribe from invalidations of other gateways: %w", err)
		}
		return nil
	}, nil
}

// servePeer responds only after Redis has the invalidation: the requester uses the first response.
func (s *Shared) servePeer(m *nats.Msg) {
	tags := strings.Split(string(m.Data), "\n")
	if len(tags) > maxBacklog || slices.ContainsFunc(tags, func(tag string) bool { return !policy.IsTag(tag) }) {
		return
	}
	if s.release(context.Background(), "", tags) == nil {
		_ = m.Respond(nil) // without a response the requester times out
	}
}
