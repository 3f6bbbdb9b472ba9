package versions

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/internal/redisdb"
)

// maxBatchNames is about the number of names in one MGET.
const maxBatchNames = 5000

// lookup is a waiting Lookup.
type lookup struct {
	tags, keys []string
	versions   []Version
	values     [][]byte
	err        error
	batch      chan []*lookup // receives the batch that this lookup executes; closed with the result
}

// coalescer batches concurrent lookups. One batch is in flight at a time; later lookups are the next batch. So under
// load a lookup costs a part of a round trip.
type coalescer struct {
	mu      sync.Mutex
	waiting []*lookup
	busy    bool
}

// enter returns the batch that the lookup executes at once, or nil while a batch is in flight.
func (c *coalescer) enter(l *lookup) []*lookup {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.busy {
		c.busy = true
		return []*lookup{l}
	}
	c.waiting = append(c.waiting, l)
	return nil
}

// next passes the waiting lookups as a batch to the first of them. After an error of Redis they fail at once instead
// of waiting for the same timeout; next returns their number.
func (c *coalescer) next(err error) (failures int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, names := 0, 0
	for ; n < len(c.waiting) && (names < maxBatchNames || err != nil); n++ {
		names += len(c.waiting[n].tags) + len(c.waiting[n].keys)
	}
	batch := c.waiting[:n:n]
	if c.waiting = c.waiting[n:]; len(c.waiting) == 0 {
		c.waiting = nil
	}
	switch {
	case n == 0:
		c.busy = false
	case err != nil:
		c.busy = false
		for _, l := range batch {
			l.err = err
			close(l.batch)
		}
		return n
	default:
		batch[0].batch <- batch
	}
	return 0
}

func (s *Shared) execute(l *lookup) {
	batch := s.coalescer.enter(l)
	if batch == nil {
		if batch = <-l.batch; batch == nil {
			return
		}
	}
	err := s.executeBatch(batch)
	for _, other := range batch {
		other.err = err
		if other != l {
			close(other.batch)
		}
	}
	failures := s.coalescer.next(err)
	if err == nil || redisdb.IsRefused(err) {
		return
	}
	s.client.ReportFailures(err, failures+len(batch)-1) // the breaker counts each lookup
}

func (s *Shared) executeBatch(batch []*lookup) error {
	size := 0
	for _, l := range batch {
		size += len(l.tags) + len(l.keys)
	}
	names, indexes := make([]string, 0, size), make(map[string]int, size)
	add := func(name string) {
		if _, found := indexes[name]; !found {
			indexes[name] = len(names)
			names = append(names, name)
		}
	}
	for _, l := range batch {
		for _, tag := range l.tags {
			add(tag)
		}
	}
	tags := len(names)
	for _, l := range batch {
		for _, key := range l.keys {
			add(key)
		}
	}
	values, versions, err := s.get(names, tags)
	if err != nil {
		return err
	}
	for _, l := range batch {
		for i, tag := range l.tags {
			l.versions[i] = versions[indexes[tag]]
		}
		for i, key := range l.keys {
			if text, ok := values[indexes[key]].(string); ok {
				l.values[i] = []byte(text)
			}
		}
	}
	return nil
}

// get returns the values of the names, the first of which are tags, and the versions of the tags.
func (s *Shared) get(names []string, tags int) (values []any, versions []Version, err error) {
	err = s.do(context.Background(), func(ctx context.Context, client *redis.Client) error {
		started := time.Now()
		values, err = client.MGet(ctx, names...).Result()
		s.metrics.lookups.Observe(time.Since(started).Seconds())
		if err != nil {
			return err
		}
		versions, err = s.resolve(ctx, client, names[:tags], values[:tags])
		return err
	})
	size := 0
	for _, value := range values[min(tags, len(values)):] {
		if text, ok := value.(string); ok {
			size += len(text)
		}
	}
	s.metrics.countBytes(directionRead, size)
	return values, versions, err
}
