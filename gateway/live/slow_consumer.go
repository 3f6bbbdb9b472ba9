package live

import (
	"context"
	"errors"
	"time"

	"github.com/sluicehq/sluice/gateway/live/eventstream"
)

const (
	catchUpBackoff    = 50 * time.Millisecond
	catchUpMaxBackoff = 2 * time.Second
)

// startCatchUp replays the stream for a client that resumes from a cursor, or a slow consumer, on a goroutine.
func (h *Hub) startCatchUp(s *subscriber) {
	h.start(func() { h.catchUp(s) })
}

// catchUp delivers the missing events, at the pace of the client, until the subscriber can join the broadcast.
func (h *Hub) catchUp(s *subscriber) {
	h.metrics.catchingUp.Inc()
	defer h.metrics.catchingUp.Dec()
	wait := catchUpBackoff
	for !s.ended.Load() && h.ctx.Err() == nil {
		events, err := h.source.Read(h.ctx, s.position)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				h.logger.Warn("the events for a subscriber in catch-up cannot be read: it waits", "error", err)
			}
			h.sleep(wait)
			wait = min(2*wait, catchUpMaxBackoff)
			continue
		}
		wait = catchUpBackoff
		for _, e := range events {
			if !h.deliver(s, e) {
				return
			}
		}
		if len(events) == 0 && s.group.join(s) {
			return
		}
	}
}

func (h *Hub) deliver(s *subscriber, e *eventstream.Event) bool {
	if s.group.selects(e) {
		if e.Gap != nil {
			h.metrics.gaps.Inc()
		}
		r := s.group.replay(e)
		if h.ctx.Err() != nil { // the execution was cancelled: this is not the result of the event
			return false
		}
		if !s.sink.push(s, r) {
			return false
		}
	}
	s.position = e.Sequence
	return true
}
