package live

import (
	"math"
	"sync"
	"time"

	"github.com/sluicehq/sluice/gateway/live/frame"
)

// item is one thing for a shard to do: one field of it is set.
type item struct {
	group  *group // with answer: write it to the members that are in the group's room
	answer *answer
	join   *member
	leave  *member
	expel  *group // its members follow the stream each by itself from now on
	enter  client
	exit   client

	revoke  string       // the session or API key whose connections end
	closing *frame.Close // all connections end
	drain   float64      // the share of connections that should be gone by now
	abort   bool         // all connections end at once
}

// client is a connection as its shard looks after it.
type client interface {
	// look is called now and then, for what has to be done in time.
	look(now time.Time)
	// holds tells whether the connection lives on the session or API key.
	holds(credential string) bool
	// bye ends the connection with the code after what is queued.
	bye(c frame.Close)
	// depart is bye after what is asked of the gateway has been answered.
	depart(c frame.Close)
	// cut ends it at once.
	cut()
}

const (
	batchMost = 64 // items that are worked on before anything is written
	lookEvery = time.Second
)

// shard owns some of the connections: it writes to the members that are in broadcast. A shard never
// waits for a client.
type shard struct {
	hub   *Hub
	wake  chan struct{} // holds one when items wait
	done  chan struct{} // closed to stop
	ended chan struct{}

	mu    sync.Mutex
	items []item

	// These are used by run only.
	scratch []byte // messages that are being written
	ends    []int  // where each of them ends
	tally   tally  // of what was written since it was last counted
	rooms   map[*group]*room
	clients map[client]bool // whether it was told to go
	told    int             // how many were, also of those that have gone since
}

// room is the members of a group in one shard, and the answers that they have not been given yet.
type room struct {
	group   *group
	members []*member
	answers []*answer
}

func newShard(h *Hub) *shard {
	return &shard{
		hub: h, wake: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{}),
		rooms: map[*group]*room{}, clients: map[client]bool{},
	}
}

// post never waits.
func (s *shard) post(i item) {
	s.mu.Lock()
	s.items = append(s.items, i)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *shard) stop() {
	close(s.done)
	<-s.ended
}

func (s *shard) run() {
	defer close(s.ended)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.wake:
			for s.batch() {
			}
		case now := <-tick.C:
			for c := range s.clients {
				c.look(now)
			}
		case <-s.done:
			return
		}
	}
}

// batch works on some items, and tells whether there may be more.
func (s *shard) batch() bool {
	s.mu.Lock()
	items := s.items
	if len(items) > batchMost {
		s.items = items[batchMost:]
		items = items[:batchMost]
	} else {
		s.items = nil
	}
	s.mu.Unlock()
	var touched []*room
	for _, i := range items {
		if i.answer == nil {
			touched = s.flush(touched)
			s.do(i)
			continue
		}
		r := s.rooms[i.group]
		if r == nil {
			continue
		}
		if len(r.answers) == 0 {
			touched = append(touched, r)
		}
		r.answers = append(r.answers, i.answer)
	}
	s.flush(touched)
	return len(items) > 0
}

// flush writes the answers of the rooms to their members. Those that have no room follow by themselves.
func (s *shard) flush(touched []*room) []*room {
	for _, r := range touched {
		for n := len(r.members) - 1; n >= 0; n-- { // from the end: leaving moves the last one
			m := r.members[n]
			if !s.write(m, r.answers) {
				s.leave(m)
				s.hub.metrics.lagged.Inc()
				s.hub.chase(m)
			}
		}
		clear(r.answers)
		r.answers = r.answers[:0]
		s.tidy(r)
	}
	s.hub.metrics.count(&s.tally)
	return touched[:0]
}

// write is false when not all could be written.
func (s *shard) write(m *member, answers []*answer) bool {
	for len(answers) > 0 && answers[0].sequence <= m.seen {
		answers = answers[1:]
	}
	if len(answers) == 0 || m.ended.Load() {
		return true
	}
	taken := m.to.offer(m, answers)
	if taken > 0 {
		m.seen = answers[taken-1].sequence
	}
	return taken == len(answers)
}

func (s *shard) do(i item) {
	switch {
	case i.join != nil:
		s.join(i.join)
	case i.leave != nil:
		s.leave(i.leave)
	case i.expel != nil:
		s.expel(i.expel)
	case i.enter != nil:
		s.clients[i.enter] = false
	case i.exit != nil:
		delete(s.clients, i.exit)
	case i.revoke != "":
		s.each(func(c client) {
			if c.holds(i.revoke) {
				c.bye(*revoked())
			}
		})
	case i.closing != nil:
		s.each(func(c client) { c.bye(*i.closing) })
	case i.drain > 0:
		s.drain(i.drain)
	case i.abort:
		s.each(client.cut)
	}
}

func (s *shard) each(do func(client)) {
	for c := range s.clients {
		do(c)
	}
}

func (s *shard) join(m *member) {
	if m.ended.Load() {
		return
	}
	r := s.rooms[m.group]
	if r == nil {
		r = &room{group: m.group}
		s.rooms[m.group] = r
	}
	m.at = len(r.members)
	r.members = append(r.members, m)
}

// leave takes the member out of its room, if it is there.
func (s *shard) leave(m *member) {
	r := s.rooms[m.group]
	if r == nil || m.at >= len(r.members) || r.members[m.at] != m {
		return
	}
	r.members = remove(r.members, m.at)
	if m.at < len(r.members) {
		r.members[m.at].at = m.at
	}
	s.tidy(r)
}

// tidy forgets a room that nobody is in.
func (s *shard) tidy(r *room) {
	if len(r.members) == 0 && len(r.answers) == 0 {
		delete(s.rooms, r.group)
	}
}

func (s *shard) expel(g *group) {
	r := s.rooms[g]
	if r == nil {
		return
	}
	delete(s.rooms, g)
	for _, m := range r.members {
		s.hub.metrics.lagged.Inc()
		s.hub.chase(m)
	}
}

// drain tells as many clients to go as the share wants.
func (s *shard) drain(share float64) {
	staying := 0
	for _, told := range s.clients {
		if !told {
			staying++
		}
	}
	want := int(math.Ceil(share * float64(staying+s.told)))
	for c, told := range s.clients {
		if s.told >= want {
			return
		}
		if !told {
			s.clients[c] = true
			s.told++
			c.depart(*goingDown())
		}
	}
}
