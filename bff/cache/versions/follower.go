package cache

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/bus"
)

// Follower ends what events tell has changed. Every gateway follows all events, so that one that
// cannot reach Redis holds up no other.
type Follower struct {
	cache *Cache
	js    jetstream.JetStream
	at    place
}

// place is how far a stream of events was followed. A stream that was made anew is another one.
type place struct {
	created  int64
	sequence uint64
}

// stream is the name of an installation: no two streams of events were made at the same moment.
func (p place) stream() string { return strconv.FormatInt(p.created, 36) }

func (p place) String() string { return fmt.Sprintf("%d %d", p.created, p.sequence) }

func parsePlace(text string) (p place, ok bool) {
	n, err := fmt.Sscanf(text, "%d %d", &p.created, &p.sequence)
	return p, err == nil && n == 2
}

// Follower begins where the last gateway ended that followed the events for this Redis: a write whose
// gateway died before it could tell of it has left an event. Without Redis it begins now, because
// nothing is kept yet.
func (c *Cache) Follower(ctx context.Context, js jetstream.JetStream) (*Follower, error) {
	f := &Follower{cache: c, js: js}
	last, err := f.last(ctx)
	if err != nil {
		return nil, err
	}
	f.at = last
	s, ok := c.versions.(*shared)
	if !ok {
		return f, nil
	}
	s.begin(last.stream())
	if kept, ok := s.place(ctx); ok && kept.created == last.created && kept.sequence <= last.sequence {
		f.at = kept
		return f, nil
	}
	s.release(ctx, "", []string{everything}) // nobody knows what was missed
	return f, nil
}

func (f *Follower) last(ctx context.Context) (place, error) {
	info, err := bus.LookAtEvents(ctx, f.js)
	if err != nil {
		return place{}, err
	}
	return place{info.Created.UnixNano(), info.State.LastSeq}, nil
}

// Run follows the events until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	const least, most = 50 * time.Millisecond, 2 * time.Second
	pause := least
	for ctx.Err() == nil {
		before := f.at
		err := f.follow(ctx)
		if f.at != before {
			pause = least
		}
		if ctx.Err() == nil {
			f.cache.options.Logger.Warn("the cache does not hear of events", "error", err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			pause = min(2*pause, most)
		}
	}
}

func (f *Follower) follow(ctx context.Context) error {
	last, err := f.last(ctx)
	if err != nil {
		return err
	}
	if last.created != f.at.created || last.sequence < f.at.sequence {
		f.at = last
		if s, ok := f.cache.versions.(*shared); ok {
			s.begin(last.stream())
		}
		f.cache.versions.release(ctx, "", []string{everything})
	}
	return bus.Follow(ctx, f.js, f.at.sequence, true, func(message jetstream.Msg) error { return f.take(ctx, message) })
}

func (f *Follower) take(ctx context.Context, message jetstream.Msg) error {
	m, err := bus.Decode(message)
	if err != nil {
		return err
	}
	tags := changed(m.Subject)
	if m.Sequence > f.at.sequence+1 && f.at.sequence > 0 {
		tags = []string{everything} // retention has passed what was not followed
	}
	f.at.sequence = m.Sequence
	if len(tags) == 0 {
		return nil
	}
	f.cache.versions.release(ctx, "", tags)
	f.cache.metrics.ended(byEvent, len(tags))
	if s, ok := f.cache.versions.(*shared); ok {
		s.keepPlace(ctx, f.at)
	}
	return nil
}

// changed are the tags of what an event tells of.
func changed(subject string) []string {
	entity, _, id, err := bus.ParseEventSubject(subject)
	if err != nil || !slices.Contains(kinds(), bff.Entity(entity)) {
		return nil
	}
	return tagsOf(bff.Entity(entity), id)
}

func (s *shared) placeKey() string { return s.own() + "place" }

func (s *shared) place(ctx context.Context) (found place, ok bool) {
	err := s.do(ctx, func(ctx context.Context, client *redis.Client) error {
		text, err := client.Get(ctx, s.placeKey()).Result()
		found, ok = parsePlace(text)
		if err == redis.Nil {
			return nil
		}
		return err
	})
	return found, ok && err == nil
}

// keepPlace notes how far events were followed, unless Redis has yet to be told of one of them.
func (s *shared) keepPlace(ctx context.Context, at place) {
	if s.debts.any() {
		return
	}
	_ = s.do(ctx, func(ctx context.Context, client *redis.Client) error { // an older place only means that more is told twice
		return client.Set(ctx, s.placeKey(), at.String(), 0).Err()
	})
}
