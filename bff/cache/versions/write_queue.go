package versions

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// Bounds of the queue of values for Redis. More values are dropped.
const (
	maxQueuedValues = 4096
	maxQueuedBytes  = 16 << 20
)

// maxBatchBytes is about the bytes of one pipeline to Redis.
const maxBatchBytes = 256 << 10

// writeQueue buffers values for Redis. A late value is still correct, because it has the versions under which it was
// read.
type writeQueue struct {
	values chan Value
	bytes  atomic.Int64
}

func newWriteQueue() writeQueue { return writeQueue{values: make(chan Value, maxQueuedValues)} }

// Put enqueues values, and drops those over the bound.
func (s *Shared) Put(values []Value) {
	for _, v := range values {
		size := int64(len(v.Key) + len(v.Data))
		if s.queue.bytes.Add(size) <= maxQueuedBytes {
			select {
			case s.queue.values <- v:
				continue
			default:
			}
		}
		s.queue.bytes.Add(-size)
		s.metrics.countDropped(reasonQueueFull)
	}
}

func (s *Shared) writeQueued(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case v := <-s.queue.values:
			s.writeBatch(ctx, v)
		}
	}
}

// writeBatch writes the value and the next ones of the queue in one pipeline. A lost value is a later miss.
func (s *Shared) writeBatch(ctx context.Context, v Value) {
	size, written := 0, 0
	_ = s.do(ctx, func(ctx context.Context, client *redis.Client) error {
		pipe := client.Pipeline()
		for more := true; more; {
			pipe.Set(ctx, s.valueKey(v.Key), v.Data, v.TTL)
			size += len(v.Key) + len(v.Data)
			written += len(v.Data)
			if more = size < maxBatchBytes; more {
				select {
				case v = <-s.queue.values:
				default:
					more = false
				}
			}
		}
		_, err := pipe.Exec(ctx)
		if isReply(err, replyFull) {
			s.metrics.countDropped(reasonRedisFull)
			return nil
		}
		return err
	})
	if size == 0 { // the breaker refused the call
		size = len(v.Key) + len(v.Data)
	}
	s.queue.bytes.Add(-int64(size))
	s.metrics.countBytes(directionWritten, written)
}
