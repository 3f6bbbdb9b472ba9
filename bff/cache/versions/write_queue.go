package cache

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// What waits to be written to Redis. More than that is not kept there.
const (
	queuedValues = 4096
	queuedBytes  = 16 << 20
)

// writtenAtOnce is about how many bytes are written to Redis in one go.
const writtenAtOnce = 256 << 10

// queue is values on their way to Redis. Nobody waits for them: what is written late has the versions
// that it was read under, as if it had been written at once.
type queue struct {
	values chan kept
	bytes  atomic.Int64
}

func newQueue() queue { return queue{values: make(chan kept, queuedValues)} }

func (s *shared) put(values []kept) {
	for _, v := range values {
		size := int64(len(v.key) + len(v.value))
		if s.queue.bytes.Add(size) <= queuedBytes {
			select {
			case s.queue.values <- v:
				continue
			default:
			}
		}
		s.queue.bytes.Add(-size)
		s.metrics.notKept(queueFull)
	}
}

// write writes what is in the queue, until ctx ends.
func (s *shared) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case v := <-s.queue.values:
			s.writeSome(ctx, v)
		}
	}
}

// writeSome writes a value and those behind it.
func (s *shared) writeSome(ctx context.Context, v kept) {
	size, written := 0, 0
	_ = s.do(ctx, func(ctx context.Context, client *redis.Client) error { // what is not kept is asked for again
		pipe := client.Pipeline()
		for more := true; more; {
			pipe.Set(ctx, s.valueKey(v.key), v.value, v.life)
			size += len(v.key) + len(v.value)
			written += len(v.value)
			if more = size < writtenAtOnce; more {
				select {
				case v = <-s.queue.values:
				default:
					more = false
				}
			}
		}
		_, err := pipe.Exec(ctx)
		if says(err, saysFull) {
			s.metrics.notKept(redisFull)
			return nil
		}
		return err
	})
	if size == 0 { // Redis is left alone
		size = len(v.key) + len(v.value)
	}
	s.queue.bytes.Add(-int64(size))
	s.metrics.bytes("written", written)
}
