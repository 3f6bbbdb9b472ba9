package versions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/bff/cache/policy"
	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/worker"
)

// Follower invalidates the entities of events. Each gateway follows all events, so that a gateway without Redis
// delays no other.
type Follower struct {
	store   Store
	shared  *Shared // nil without Redis
	js      jetstream.JetStream
	logger  *slog.Logger
	metrics *Metrics
	at      position
	joined  bool
	onJoin  func()
}

// position is a position in a stream of events. A stream that was created again has other positions.
type position struct {
	created  int64
	sequence uint64
}

// installation returns the name of an installation: no two streams are created at the same nanosecond.
func (p position) installation() string { return strconv.FormatInt(p.created, 36) }

func (p position) String() string { return fmt.Sprintf("%d %d", p.created, p.sequence) }

func parsePosition(text string) (p position, ok bool) {
	n, err := fmt.Sscanf(text, "%d %d", &p.created, &p.sequence)
	return p, err == nil && n == 2
}

// NewFollower returns a Follower. It calls joined when it has reached the stream.
func NewFollower(js jetstream.JetStream, store Store, logger *slog.Logger, metrics *Metrics, joined func()) *Follower {
	f := &Follower{store: store, js: js, logger: logger, metrics: metrics, onJoin: joined}
	f.shared, _ = store.(*Shared)
	return f
}

// joinTimeout bounds the wait of Join for the stream.
const joinTimeout = 5 * time.Second

// Join sets the position once: that in Redis, where the last gateway stopped, because a gateway that died between a
// commit and its invalidation left an event; without Redis the end of the stream, because nothing is cached yet.
func (f *Follower) Join(ctx context.Context) error {
	if f.joined {
		return nil
	}
	if !f.js.Conn().IsConnected() {
		return errors.New("the broker is away")
	}
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	last, err := f.last(ctx)
	if err != nil {
		return err
	}
	f.at = last
	if f.shared != nil {
		f.resume(ctx, last)
	}
	f.joined = true
	f.onJoin()
	return nil
}

func (f *Follower) resume(ctx context.Context, last position) {
	f.shared.setInstallation(last.installation())
	if stored, ok := f.shared.readPosition(ctx); ok && stored.created == last.created && stored.sequence <= last.sequence {
		f.at = stored
		return
	}
	f.store.Release(ctx, "", []string{policy.TagAll}) // an unknown number of events was missed
}

func (f *Follower) last(ctx context.Context) (position, error) {
	info, err := bus.EventsInfo(ctx, f.js)
	if err != nil {
		return position{}, err
	}
	return position{info.Created.UnixNano(), info.State.LastSeq}, nil
}

// Loop follows the events.
func (f *Follower) Loop() worker.Loop {
	loop := worker.Continuous("cache events", f.follow)
	loop.MinBackoff, loop.MaxBackoff = 50*time.Millisecond, 2*time.Second
	return loop
}

func (f *Follower) follow(ctx context.Context) error {
	if err := f.Join(ctx); err != nil {
		return err
	}
	last, err := f.last(ctx)
	if err != nil {
		return err
	}
	if last.created != f.at.created || last.sequence < f.at.sequence {
		f.at = last
		if f.shared != nil {
			f.shared.setInstallation(last.installation())
		}
		f.store.Release(ctx, "", []string{policy.TagAll})
	}
	return bus.Follow(ctx, f.js, f.at.sequence, true, func(message jetstream.Msg) error { return f.handle(ctx, message) })
}

func (f *Follower) handle(ctx context.Context, message jetstream.Msg) error {
	m, err := bus.Decode(message)
	if err != nil {
		return err
	}
	tags := tagsOf(m.Subject)
	if m.Sequence > f.at.sequence+1 && f.at.sequence > 0 {
		tags = []string{policy.TagAll} // retention deleted unread events
	}
	f.at.sequence = m.Sequence
	if len(tags) == 0 {
		return nil
	}
	f.store.Release(ctx, "", tags)
	f.metrics.CountInvalidations(SourceEvent, len(tags))
	if f.shared != nil {
		f.shared.writePosition(ctx, f.at)
	}
	return nil
}

func tagsOf(subject string) []string {
	kind, _, id, err := bus.ParseEventSubject(subject)
	if err != nil || !slices.Contains(policy.Kinds(), entity.Kind(kind)) {
		return nil
	}
	return policy.Tags(entity.Kind(kind), id)
}

func (s *Shared) positionKey() string { return s.prefix() + "position" }

func (s *Shared) readPosition(ctx context.Context) (found position, ok bool) {
	err := s.do(ctx, func(ctx context.Context, client *redis.Client) error {
		text, err := client.Get(ctx, s.positionKey()).Result()
		found, ok = parsePosition(text)
		if err == redis.Nil {
			return nil
		}
		return err
	})
	return found, ok && err == nil
}

// writePosition stores the position, unless the backlog has an earlier invalidation. After a failure the next gateway
// handles some events twice, which is harmless.
func (s *Shared) writePosition(ctx context.Context, at position) {
	if !s.backlog.isEmpty() {
		return
	}
	_ = s.do(ctx, func(ctx context.Context, client *redis.Client) error {
		return client.Set(ctx, s.positionKey(), at.String(), 0).Err()
	})
}
