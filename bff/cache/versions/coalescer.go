package cache

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/internal/redisdb"
)

// namesAtOnce is about how many names one question to Redis has.
const namesAtOnce = 5000

// question is what a look asks Redis, and the answer.
type question struct {
	tags, keys []string
	found      []version
	values     [][]byte
	err        error
	turn       chan []*question // has those who are to be asked for; closed when the question has its answer
}

// line is where questions wait for their turn. One is under way at a time: those that come meanwhile go
// together as the next one, so that under load a look costs a part of a round trip.
type line struct {
	mu      sync.Mutex
	waiting []*question
	asking  bool
}

// enter gives what is to be asked now, or nothing: then somebody else asks, or tells whose turn it is.
func (l *line) enter(q *question) []*question {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.asking {
		l.asking = true
		return []*question{q}
	}
	l.waiting = append(l.waiting, q)
	return nil
}

// next gives the turn to those who wait. When Redis has just failed nobody else waits for it as long:
// they all have failed. It tells how many.
func (l *line) next(err error) (failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, names := 0, 0
	for ; n < len(l.waiting) && (names < namesAtOnce || err != nil); n++ {
		names += len(l.waiting[n].tags) + len(l.waiting[n].keys)
	}
	together := l.waiting[:n:n]
	if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	switch {
	case n == 0:
		l.asking = false
	case err != nil:
		l.asking = false
		for _, q := range together {
			q.err = err
			close(q.turn)
		}
		return n
	default:
		together[0].turn <- together
	}
	return 0
}

// ask asks Redis, alone or together with others.
func (s *shared) ask(q *question) {
	together := s.line.enter(q)
	if together == nil {
		if together = <-q.turn; together == nil {
			return
		}
	}
	err := s.askFor(together)
	for _, other := range together {
		other.err = err
		if other != q {
			close(other.turn)
		}
	}
	failed := s.line.next(err)
	if err == nil || redisdb.IsRefused(err) {
		return
	}
	s.client.ReportFailures(err, failed+len(together)-1) // each was a question
}

// askFor asks what several want to know at once. Each name is asked for once.
func (s *shared) askFor(together []*question) error {
	most := 0
	for _, q := range together {
		most += len(q.tags) + len(q.keys)
	}
	names, places := make([]string, 0, most), make(map[string]int, most)
	place := func(name string) {
		if _, there := places[name]; !there {
			places[name] = len(names)
			names = append(names, name)
		}
	}
	for _, q := range together {
		for _, tag := range q.tags {
			place(tag)
		}
	}
	tags := len(names)
	for _, q := range together {
		for _, key := range q.keys {
			place(key)
		}
	}
	answer, versions, err := s.answers(names, tags)
	if err != nil {
		return err
	}
	for _, q := range together {
		for i, tag := range q.tags {
			q.found[i] = versions[places[tag]]
		}
		for i, key := range q.keys {
			if text, ok := answer[places[key]].(string); ok {
				q.values[i] = []byte(text)
			}
		}
	}
	return nil
}

// answers gives what stands under the names, the first of which are of tags.
func (s *shared) answers(names []string, tags int) (answer []any, versions []version, err error) {
	err = s.do(context.Background(), func(ctx context.Context, client *redis.Client) error {
		began := time.Now()
		answer, err = client.MGet(ctx, names...).Result()
		s.metrics.redis.Observe(time.Since(began).Seconds())
		if err != nil {
			return err
		}
		versions, err = s.settle(ctx, client, names[:tags], answer[:tags])
		return err
	})
	size := 0
	for _, value := range answer[min(tags, len(answer)):] {
		if text, ok := value.(string); ok {
			size += len(text)
		}
	}
	s.metrics.bytes("read", size)
	return answer, versions, err
}
