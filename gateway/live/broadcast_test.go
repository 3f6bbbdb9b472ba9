package live

import (
	"net"
	"slices"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/gateway/live/filter"
	"github.com/sluicehq/sluice/gateway/live/protocol"
)

// taken is a sink that takes what it is given, until it is full.
type taken struct {
	sequences []uint64
	most      int
}

func (s *taken) offer(_ *member, answers []*answer) int {
	n := min(len(answers), s.most-len(s.sequences))
	for _, a := range answers[:n] {
		s.sequences = append(s.sequences, a.sequence)
	}
	return n
}

func (s *taken) push(m *member, a *answer) bool { return s.offer(m, []*answer{a}) == 1 }

func seamHouse() (*Hub, *shard, *group) {
	h := &Hub{groups: map[string]*group{}, index: filter.NewIndex[*group](), callers: map[string]int{}, closed: true} // closed: nobody is chased
	h.metrics, _ = newMetrics(nil, h)
	s := newShard(h)
	h.shards = []*shard{s}
	return h, s, &group{hub: h}
}

// The broadcast takes up a member only if it has seen all that was broadcast: what went out in between
// would be lost to it.
func TestTheSeamTakesOnlyWhoHasSeenAll(t *testing.T) {
	t.Parallel()
	_, s, g := seamHouse()
	g.since, g.posted = 3, 5
	for seen, want := range map[uint64]bool{2: false, 4: false, 5: true, 9: true} {
		if got := g.join(&member{group: g, shard: s, seen: seen}); got != want {
			t.Errorf("who has seen up to %d: %v", seen, got)
		}
	}
	g.since = 7 // its members were sent to follow the stream
	if g.join(&member{group: g, shard: s, seen: 6}) {
		t.Error("who has not seen what the group gave up was taken")
	}
}

// What a member has seen while it followed the stream is not given to it again, and what comes after
// is.
func TestTheSeamRepeatsNothing(t *testing.T) {
	t.Parallel()
	_, s, g := seamHouse()
	to := &taken{most: 100}
	m := &member{group: g, shard: s, to: to, seen: 6}
	if !g.join(m) {
		t.Fatal("not taken")
	}
	for sequence := uint64(5); sequence <= 8; sequence++ { // 5 and 6 were pending when it joined
		s.post(item{group: g, answer: &answer{sequence: sequence}})
	}
	s.batch()
	if !slices.Equal(to.sequences, []uint64{7, 8}) || m.seen != 8 {
		t.Errorf("got %v, seen %d", to.sequences, m.seen)
	}
}

// A member without room leaves the broadcast where it stands.
func TestAMemberWithoutRoomLeavesWhereItStands(t *testing.T) {
	t.Parallel()
	_, s, g := seamHouse()
	to := &taken{most: 2}
	m := &member{group: g, shard: s, to: to}
	g.join(m)
	for sequence := uint64(1); sequence <= 4; sequence++ {
		s.post(item{group: g, answer: &answer{sequence: sequence}})
	}
	s.batch()
	if m.seen != 2 || len(s.rooms) != 0 {
		t.Errorf("seen %d, %d rooms", m.seen, len(s.rooms))
	}
}

// More events than may wait for an operation send the group's members to the stream, and nothing that
// was pending goes out after that.
func TestAGroupThatCannotKeepUpGivesUpTheBroadcast(t *testing.T) {
	t.Parallel()
	_, s, g := seamHouse()
	g.running = true // nobody runs it
	m := &member{group: g, shard: s, to: &taken{most: 10}}
	g.join(m)
	s.batch()
	for sequence := uint64(1); sequence <= maxPending+1; sequence++ {
		e := &eventstream.Event{}
		e.Sequence = sequence
		g.enqueue(e)
	}
	s.batch()
	if len(g.pending) != 0 || g.since != maxPending+1 || len(s.rooms) != 0 {
		t.Errorf("%d pending, since %d, %d rooms", len(g.pending), g.since, len(s.rooms))
	}
}

// A gap that is broadcast is counted once for everybody who is told of it.
func TestAGapIsCountedForEachWhoIsToldOfIt(t *testing.T) {
	t.Parallel()
	h, s, g := seamHouse()
	told := g.make(&eventstream.Event{Gap: &eventstream.Gap{From: "a", To: "b"}})
	for range 3 {
		c := &connection{hub: h, dialect: protocol.Of(protocol.Subprotocol)}
		conn, _ := net.Pipe()
		c.Open(conn, 1<<10, time.Second, &h.metrics.queued)
		c.Abort() // what is written goes nowhere
		g.join(&member{group: g, shard: s, to: c, id: `"1"`})
	}
	told.sequence = 1
	s.post(item{group: g, answer: told})
	s.batch()
	var counted dto.Metric
	if err := h.metrics.gaps.Write(&counted); err != nil || counted.GetCounter().GetValue() != 3 {
		t.Errorf("%v are counted, %v", counted.GetCounter().GetValue(), err)
	}
}
