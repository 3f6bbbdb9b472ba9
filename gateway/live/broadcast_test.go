package live

import (
	"net"
	"slices"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/gateway/live/protocol"
	"github.com/sluicehq/sluice/gateway/live/selection"
)

// boundedSink is a sink that accepts a number of results.
type boundedSink struct {
	sequences []uint64
	capacity  int
}

func (s *boundedSink) offer(_ *subscriber, results []*result) int {
	n := min(len(results), s.capacity-len(s.sequences))
	for _, r := range results[:n] {
		s.sequences = append(s.sequences, r.sequence)
	}
	return n
}

func (s *boundedSink) push(sub *subscriber, r *result) bool { return s.offer(sub, []*result{r}) == 1 }

// newIdleHub returns a closed hub, which starts no catch-up, with one shard and a group.
func newIdleHub() (*Hub, *shard, *group) {
	h := &Hub{groups: map[string]*group{}, index: selection.NewIndex[*group](), callers: map[string]int{}, closed: true}
	h.metrics, _ = newMetrics(nil, h)
	s := newShard(h)
	h.shards = []*shard{s}
	return h, s, &group{hub: h}
}

// A subscriber joins only after it has received every event that was broadcast: it would miss those in between.
func TestSubscriberBehindTheBroadcastDoesNotJoin(t *testing.T) {
	t.Parallel()
	_, s, g := newIdleHub()
	g.since, g.posted = 3, 5
	for position, want := range map[uint64]bool{2: false, 4: false, 5: true, 9: true} {
		if got := g.join(&subscriber{group: g, shard: s, position: position}); got != want {
			t.Errorf("join at position %d: %v", position, got)
		}
	}
	g.since = 7 // its subscribers were evicted
	if g.join(&subscriber{group: g, shard: s, position: 6}) {
		t.Error("a subscriber joined that has not received the evicted events")
	}
}

// Events that a subscriber received in catch-up are skipped in the broadcast, and later events are not.
func TestSubscriberThatJoinsReceivesNoEventTwice(t *testing.T) {
	t.Parallel()
	_, s, g := newIdleHub()
	to := &boundedSink{capacity: 100}
	sub := &subscriber{group: g, shard: s, sink: to, position: 6}
	if !g.join(sub) {
		t.Fatal("the subscriber did not join")
	}
	for sequence := uint64(5); sequence <= 8; sequence++ { // 5 and 6 were pending when it joined
		s.post(task{group: g, result: &result{sequence: sequence}})
	}
	s.batch()
	if !slices.Equal(to.sequences, []uint64{7, 8}) || sub.position != 8 {
		t.Errorf("got %v, position %d", to.sequences, sub.position)
	}
}

func TestSubscriberWithFullQueueLeavesBroadcastAtItsPosition(t *testing.T) {
	t.Parallel()
	_, s, g := newIdleHub()
	to := &boundedSink{capacity: 2}
	sub := &subscriber{group: g, shard: s, sink: to}
	g.join(sub)
	for sequence := uint64(1); sequence <= 4; sequence++ {
		s.post(task{group: g, result: &result{sequence: sequence}})
	}
	s.batch()
	if sub.position != 2 || len(s.fanouts) != 0 {
		t.Errorf("position %d, %d fan-outs", sub.position, len(s.fanouts))
	}
}

// When too many events are pending, the subscribers of the group leave the broadcast, and no pending event is broadcast any more.
func TestGroupWithTooManyPendingEventsEvictsItsSubscribers(t *testing.T) {
	t.Parallel()
	_, s, g := newIdleHub()
	g.running = true // no goroutine executes it
	g.join(&subscriber{group: g, shard: s, sink: &boundedSink{capacity: 10}})
	s.batch()
	for sequence := uint64(1); sequence <= maxPending+1; sequence++ {
		e := &eventstream.Event{}
		e.Sequence = sequence
		g.enqueue(e)
	}
	s.batch()
	if len(g.pending) != 0 || g.since != maxPending+1 || len(s.fanouts) != 0 {
		t.Errorf("%d pending, since %d, %d fan-outs", len(g.pending), g.since, len(s.fanouts))
	}
}

func TestGapInBroadcastIsCountedPerSubscriber(t *testing.T) {
	t.Parallel()
	h, s, g := newIdleHub()
	gap := g.execute(&eventstream.Event{Gap: &eventstream.Gap{From: "a", To: "b"}})
	for range 3 {
		c := &connection{hub: h, dialect: protocol.Of(protocol.Subprotocol)}
		conn, _ := net.Pipe()
		c.Open(conn, 1<<10, time.Second, &h.metrics.queued)
		c.Abort() // writes are dropped
		g.join(&subscriber{group: g, shard: s, sink: c, id: `"1"`})
	}
	gap.sequence = 1
	s.post(task{group: g, result: gap})
	s.batch()
	var counted dto.Metric
	if err := h.metrics.gaps.Write(&counted); err != nil || counted.GetCounter().GetValue() != 3 {
		t.Errorf("%v gaps are counted, %v", counted.GetCounter().GetValue(), err)
	}
}
