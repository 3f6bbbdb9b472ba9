package live

import (
	"math"
	"sync"
	"time"

	"github.com/sluicehq/sluice/gateway/live/frame"
)

// task is one unit of work of a shard. One field is set; result has a group too.
type task struct {
	group      *group // with result: write the result to the subscribers of the group
	result     *result
	join       *subscriber // enters the broadcast
	leave      *subscriber // leaves the broadcast
	evict      *group      // all subscribers of the group leave the broadcast and catch up
	connect    client
	disconnect client

	revoke   string       // close the connections of this session or API key
	closeAll *frame.Close // close all connections
	drain    float64      // the share of connections that should be closed by now
	abort    bool         // end all connections at once
}

// client is a connection as its shard uses it.
type client interface {
	// checkTimeouts is called once a second. It pings the client, and closes an expired connection.
	checkTimeouts(now time.Time)
	// usesCredential reports whether the connection was authenticated by the session or API key.
	usesCredential(id string) bool
	// close ends the connection after its queued messages.
	close(why frame.Close)
	// drain ends the connection after the responses to its running queries.
	drain(why frame.Close)
	// abort ends the connection at once.
	abort()
}

const (
	maxTasks      = 64 // tasks that are processed before results are written
	checkInterval = time.Second
)

// shard owns some of the connections. It writes the broadcast to their subscribers on one goroutine that never
// blocks.
type shard struct {
	hub   *Hub
	wake  chan struct{} // has an element when tasks wait
	done  chan struct{} // closed to stop
	ended chan struct{}

	mu    sync.Mutex
	tasks []task

	// Only the goroutine of run uses the fields below.
	buffer  []byte // messages that are being written
	ends    []int  // offsets at which they end
	tally   tally  // of the messages since the last update of the metrics
	fanouts map[*group]*fanout
	clients map[client]bool // whether a drain has closed the connection
	drained int             // connections that a drain has closed, including those that have ended since
}

// fanout has the subscribers of a group in one shard, and the results to write to them.
type fanout struct {
	group       *group
	subscribers []*subscriber
	results     []*result
}

func newShard(h *Hub) *shard {
	return &shard{
		hub: h, wake: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{}),
		fanouts: map[*group]*fanout{}, clients: map[client]bool{},
	}
}

func (s *shard) post(t task) {
	s.mu.Lock()
	s.tasks = append(s.tasks, t)
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
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.wake:
			for s.batch() {
			}
		case now := <-tick.C:
			for c := range s.clients {
				c.checkTimeouts(now)
			}
		case <-s.done:
			return
		}
	}
}

// batch processes some tasks, and writes their results together; false if there were none.
func (s *shard) batch() bool {
	s.mu.Lock()
	tasks := s.tasks
	if len(tasks) > maxTasks {
		s.tasks = tasks[maxTasks:]
		tasks = tasks[:maxTasks]
	} else {
		s.tasks = nil
	}
	s.mu.Unlock()
	var changed []*fanout
	for _, t := range tasks {
		if t.result == nil {
			changed = s.flush(changed)
			s.process(t)
			continue
		}
		f := s.fanouts[t.group]
		if f == nil {
			continue
		}
		if len(f.results) == 0 {
			changed = append(changed, f)
		}
		f.results = append(f.results, t.result)
	}
	s.flush(changed)
	return len(tasks) > 0
}

// flush writes the results of the fan-outs. A subscriber with a full queue is a slow consumer: it leaves the
// broadcast and catches up.
func (s *shard) flush(changed []*fanout) []*fanout {
	for _, f := range changed {
		for n := len(f.subscribers) - 1; n >= 0; n-- { // from the end: leave moves the last one
			if sub := f.subscribers[n]; !s.write(sub, f.results) {
				s.leave(sub)
				s.hub.metrics.slowConsumers.Inc()
				s.hub.startCatchUp(sub)
			}
		}
		clear(f.results)
		f.results = f.results[:0]
		s.removeIfEmpty(f)
	}
	s.hub.metrics.count(&s.tally)
	return changed[:0]
}

func (s *shard) write(sub *subscriber, results []*result) bool {
	for len(results) > 0 && results[0].sequence <= sub.position {
		results = results[1:]
	}
	if len(results) == 0 || sub.ended.Load() {
		return true
	}
	accepted := sub.sink.offer(sub, results)
	if accepted > 0 {
		sub.position = results[accepted-1].sequence
	}
	return accepted == len(results)
}

func (s *shard) process(t task) {
	switch {
	case t.join != nil:
		s.join(t.join)
	case t.leave != nil:
		s.leave(t.leave)
	case t.evict != nil:
		s.evict(t.evict)
	case t.connect != nil:
		s.clients[t.connect] = false
	case t.disconnect != nil:
		delete(s.clients, t.disconnect)
	case t.drain > 0:
		s.drain(t.drain)
	default:
		for c := range s.clients {
			switch {
			case t.closeAll != nil:
				c.close(*t.closeAll)
			case t.abort:
				c.abort()
			case c.usesCredential(t.revoke):
				c.close(*revoked())
			}
		}
	}
}

func (s *shard) join(joining *subscriber) {
	if joining.ended.Load() {
		return
	}
	f := s.fanouts[joining.group]
	if f == nil {
		f = &fanout{group: joining.group}
		s.fanouts[joining.group] = f
	}
	joining.slot = len(f.subscribers)
	f.subscribers = append(f.subscribers, joining)
}

func (s *shard) leave(leaving *subscriber) {
	f := s.fanouts[leaving.group]
	if f == nil || leaving.slot >= len(f.subscribers) || f.subscribers[leaving.slot] != leaving {
		return
	}
	f.subscribers = remove(f.subscribers, leaving.slot)
	if leaving.slot < len(f.subscribers) {
		f.subscribers[leaving.slot].slot = leaving.slot
	}
	s.removeIfEmpty(f)
}

func (s *shard) removeIfEmpty(f *fanout) {
	if len(f.subscribers) == 0 && len(f.results) == 0 {
		delete(s.fanouts, f.group)
	}
}

// evict moves all subscribers of the group from the broadcast to catch-up.
func (s *shard) evict(g *group) {
	f := s.fanouts[g]
	if f == nil {
		return
	}
	delete(s.fanouts, g)
	for _, sub := range f.subscribers {
		s.hub.metrics.slowConsumers.Inc()
		s.hub.startCatchUp(sub)
	}
}

// drain closes further connections until their share of all connections is reached.
func (s *shard) drain(share float64) {
	remaining := 0
	for _, drained := range s.clients {
		if !drained {
			remaining++
		}
	}
	target := int(math.Ceil(share * float64(remaining+s.drained)))
	for c, drained := range s.clients {
		if s.drained >= target {
			return
		}
		if !drained {
			s.clients[c] = true
			s.drained++
			c.drain(*goingDown())
		}
	}
}
