package live

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"

	bffentity "github.com/sluicehq/sluice/bff/entity"
	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// member is one subscription of a client. It is in one of two places: in the room of its group, where
// its shard writes to it, or with a follower that reads the stream for it. Whoever has it, and nobody
// else, uses seen.
type member struct {
	group *group
	shard *shard
	to    sink
	id    string // of the subscription on its connection
	seen  uint64 // the last event that it was given, or that was none for it
	at    int    // its place in the room; used by the shard
	ended atomic.Bool
}

// sink is a client's connection as a member writes to it.
type sink interface {
	// offer takes of the answers, from the first, those that there is room for; it never waits.
	offer(m *member, answers []*answer) (taken int)
	// push waits for room for the answer. It is false when the member has ended meanwhile.
	push(m *member, a *answer) bool
}

// request is a subscription that was let in.
type request struct {
	executor  graphql.GraphExecutor
	operation *graphql.OperationContext
	filter    *bffentity.Selection
	who       caller.Caller
	after     string // the cursor to resume after, or ""
	text      string // of the operation and its variables: the same for the same
}

// subscribe makes the member a member. It gets what happens from now on, or from the cursor on.
func (h *Hub) subscribe(m *member, r request) error {
	var from eventstream.Position
	if r.after != "" {
		var err error
		if from, err = h.cursors.Decode(r.after); err != nil {
			return err
		}
	}
	s := visibilityOf(r.who)
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return errs.New(errs.Unavailable, "GATEWAY_DRAINING", "this gateway is going down: connect again")
	}
	m.group = h.groupOf(r, s)
	m.group.members++
	now := h.source.Position()
	h.mu.Unlock()
	h.metrics.subscribed()
	if m.seen = now; r.after == "" {
		if !m.group.join(m) {
			h.chase(m)
		}
		return nil
	}
	h.resume(m, from, r.after)
	return nil
}

// resume has the member given what came after the cursor. One of a stream that is no more, or from
// the future of this one because the broker lost its last events, begins with a gap.
func (h *Hub) resume(m *member, from eventstream.Position, after string) {
	h.metrics.replays.Inc()
	if h.source.Contains(h.ctx, from) {
		m.seen = from.Sequence
		h.chase(m)
		return
	}
	lost := h.source.Gap(m.seen, m.seen)
	lost.Gap.From = after
	h.begin(func() {
		if m.to.push(m, m.group.make(lost)) {
			h.metrics.gaps.Inc()
			h.catchUp(m)
		}
	})
}

// groupOf finds the group, or makes it. Hub.mu is held.
func (h *Hub) groupOf(r request, s visibility) *group {
	key := r.text + "\x00" + s.key()
	if g, ok := h.groups[key]; ok {
		return g
	}
	g := &group{
		hub: h, key: key, filter: r.filter.Narrow(r.filter.Kind.Visibility(s.who)), visibility: s,
		executor: r.executor, operation: r.operation, since: h.source.Position(),
	}
	h.groups[key] = g
	h.index.Add(g.filter, g)
	return g
}

// end takes the member out; once more does nothing. The last one takes its group with it.
func (h *Hub) end(m *member, reason string) {
	if m.ended.Swap(true) || m.group == nil {
		return
	}
	h.metrics.unsubscribed(reason)
	m.shard.post(item{leave: m})
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.group.members--; m.group.members == 0 {
		delete(h.groups, m.group.key)
		h.index.Remove(m.group.filter, m.group)
	}
}

// chase has a follower take the member along the stream until it has caught up.
func (h *Hub) chase(m *member) {
	h.begin(func() { h.catchUp(m) })
}

const (
	chaseBackoff    = 50 * time.Millisecond
	chaseMaxBackoff = 2 * time.Second
)

// catchUp gives the member what it has not seen, at its own pace, and hands it over to the broadcast
// where that goes on.
func (h *Hub) catchUp(m *member) {
	h.metrics.laggards.Inc()
	defer h.metrics.laggards.Dec()
	wait := chaseBackoff
	for !m.ended.Load() && h.ctx.Err() == nil {
		events, err := h.source.Read(h.ctx, m.seen)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				h.logger.Warn("a subscriber cannot be given what it missed, and waits", "error", err)
			}
			h.pause(wait)
			wait = min(2*wait, chaseMaxBackoff)
			continue
		}
		wait = chaseBackoff
		for _, e := range events {
			if !h.give(m, e) {
				return
			}
		}
		if len(events) == 0 && m.group.join(m) {
			return
		}
	}
}

// give is false when the member has ended.
func (h *Hub) give(m *member, e *eventstream.Event) bool {
	if m.group.wants(e) {
		if e.Gap != nil {
			h.metrics.gaps.Inc()
		}
		a := m.group.again(e)
		if h.ctx.Err() != nil { // the run was cut short: it is no answer to the event
			return false
		}
		if !m.to.push(m, a) {
			return false
		}
	}
	m.seen = e.Sequence
	return true
}

// textOf is the same for operations that are the same, variables included.
func textOf(params *graphql.RawParams) string {
	var b strings.Builder
	b.WriteString(params.Query)
	b.WriteByte(0)
	b.WriteString(params.OperationName)
	b.WriteByte(0)
	b.Write(encoded(params.Variables)) // maps are written in the order of their keys
	return b.String()
}

// remove takes the value at i out of the list, whose order does not matter.
func remove[T any](list []T, i int) []T {
	last := len(list) - 1
	list[i] = list[last]
	return slices.Delete(list, last, last+1)
}
