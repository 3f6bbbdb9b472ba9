package live

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"

	bffentity "github.com/sluicehq/sluice/bff/entity"
	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/internal/caller"
)

// subscriber is one subscription of a client, either in the broadcast, where its shard writes to it, or in catch-up,
// where a goroutine replays the stream. Only the current one of the two uses position.
type subscriber struct {
	group    *group
	shard    *shard
	sink     sink
	id       string // of the subscription on its connection, in JSON
	position uint64 // sequence of the last event that was written, or not selected
	slot     int    // index in the fan-out of its shard
	ended    atomic.Bool
}

// sink is the connection of a subscriber.
type sink interface {
	// offer writes as many of the results as fit into the queue, and returns their number. It never blocks.
	offer(s *subscriber, results []*result) (accepted int)
	// push blocks until the result fits into the queue; false if the subscriber has ended.
	push(s *subscriber, r *result) bool
}

// request is an admitted subscription.
type request struct {
	executor  graphql.GraphExecutor
	operation *graphql.OperationContext
	selection *bffentity.Selection
	who       caller.Caller
	after     string // the cursor to resume from, or ""
	text      string // equal for equal operations and variables
}

// subscribe registers the subscriber in its group. It receives the events from now on, or those after the cursor.
func (h *Hub) subscribe(s *subscriber, r request) error {
	var after eventstream.Position
	if r.after != "" {
		var err error
		if after, err = h.cursors.Decode(r.after); err != nil {
			return err
		}
	}
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return draining()
	}
	s.group = h.groupOf(r)
	s.group.subscribers++
	s.position = h.source.Position()
	h.mu.Unlock()
	h.metrics.subscribed()
	switch {
	case r.after != "":
		h.resume(s, after, r.after)
	case !s.group.join(s):
		h.startCatchUp(s)
	}
	return nil
}

// resume replays the events after the cursor. A cursor of another stream, or beyond the end of this stream, starts
// with a gap.
func (h *Hub) resume(s *subscriber, after eventstream.Position, cursor string) {
	h.metrics.replays.Inc()
	if h.source.Contains(h.ctx, after) {
		s.position = after.Sequence
		h.startCatchUp(s)
		return
	}
	lost := h.source.Gap(s.position, s.position)
	lost.Gap.From = cursor
	h.start(func() {
		if s.sink.push(s, s.group.execute(lost)) {
			h.metrics.gaps.Inc()
			h.catchUp(s)
		}
	})
}

func (h *Hub) groupOf(r request) *group {
	v := visibilityOf(r.who)
	key := r.text + "\x00" + v.key()
	if g, ok := h.groups[key]; ok {
		return g
	}
	g := &group{
		hub: h, key: key, selection: r.selection.Narrow(r.selection.Kind.Visibility(v.who)), visibility: v,
		executor: r.executor, operation: r.operation, since: h.source.Position(),
	}
	h.groups[key] = g
	h.index.Add(g.selection, g)
	return g
}

// unsubscribe removes the subscriber; a second call does nothing. The last subscriber removes its group.
func (h *Hub) unsubscribe(s *subscriber, reason string) {
	if s.ended.Swap(true) || s.group == nil {
		return
	}
	h.metrics.unsubscribed(reason)
	s.shard.post(task{leave: s})
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.group.subscribers--; s.group.subscribers == 0 {
		delete(h.groups, s.group.key)
		h.index.Remove(s.group.selection, s.group)
	}
}

// textOf returns a text that is equal for equal operations, variables included.
func textOf(params *graphql.RawParams) string {
	var b strings.Builder
	b.WriteString(params.Query)
	b.WriteByte(0)
	b.WriteString(params.OperationName)
	b.WriteByte(0)
	b.Write(encoded(params.Variables)) // JSON encodes maps in the order of their keys
	return b.String()
}

// remove removes the element at i from a list whose order does not matter.
func remove[T any](list []T, i int) []T {
	last := len(list) - 1
	list[i] = list[last]
	return slices.Delete(list, last, last+1)
}
