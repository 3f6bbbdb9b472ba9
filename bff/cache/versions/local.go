package versions

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"
)

// Store holds the versions of tags. A write marks its tags before the service receives it and releases them after the
// response. Between the two the tags have no stable version, and afterwards one under which no entry was read.
type Store interface {
	// Lookup returns the versions of the tags, and the values that gateways share under the keys; nil for a missing
	// value. An error means that no version is known now.
	Lookup(tags, keys []string) ([]Version, [][]byte, error)
	// Mark begins a write. The writer is a unique name. If Mark fails, Release invalidates the tags alone.
	Mark(ctx context.Context, writer string, tags []string)
	// Release ends a write. The writer is "" for a write that another process made and that is over.
	Release(ctx context.Context, writer string, tags []string)
	// Put enqueues values that gateways share. Nothing waits for them.
	Put(values []Value)
}

// Value is an encoded entry that gateways share.
type Value struct {
	Key  string
	Data []byte
	TTL  time.Duration
}

// NewWriter returns a unique name for a writer.
func NewWriter() string { return New().String() }

// slots is the number of version slots of a gateway that runs alone. Tags with the same slot are invalidated together.
const slots = 1 << 16

// Local is the versions of a gateway that runs alone: it sees every write, or the event of it. A slot counts the
// finished writes, and in its lowest bits the writes in progress.
type Local struct {
	seed  maphash.Seed
	boot  uint64
	slots [slots]atomic.Uint64
}

var _ Store = (*Local)(nil)

const (
	maxInProgress = 1 << 16 // writes of one slot at once
	finishedWrite = maxInProgress
)

// NewLocal returns a store in memory.
func NewLocal() *Local { return &Local{seed: maphash.MakeSeed(), boot: New().a} }

func (l *Local) slot(tag string) *atomic.Uint64 {
	return &l.slots[maphash.String(l.seed, tag)%slots]
}

// Lookup returns the versions of the tags, and no values.
func (l *Local) Lookup(tags, keys []string) ([]Version, [][]byte, error) {
	found := make([]Version, len(tags))
	for i, tag := range tags {
		if n := l.slot(tag).Load(); n%maxInProgress == 0 {
			found[i] = Version{l.boot, n}
		}
	}
	return found, make([][]byte, len(keys)), nil
}

// Mark begins a write.
func (l *Local) Mark(_ context.Context, _ string, tags []string) {
	for _, tag := range tags {
		l.slot(tag).Add(1)
	}
}

// Release ends a write.
func (l *Local) Release(_ context.Context, writer string, tags []string) {
	for _, tag := range tags {
		if writer == "" {
			l.slot(tag).Add(finishedWrite)
			continue
		}
		l.slot(tag).Add(finishedWrite - 1)
	}
}

// Put drops the values, because there is no other gateway.
func (*Local) Put([]Value) {}
