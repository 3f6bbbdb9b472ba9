package cache

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/internal/redisdb"
)

//go:embed mark.lua
var markScript string

//go:embed release.lua
var releaseScript string

//go:embed greet.lua
var greetScript string

// prefix begins every key. All keys lie in one slot of a cluster.
const prefix = "{sluice:cache}:"

// tagLife is how long a version is kept that nobody writes: longer than any entry.
const tagLife = time.Hour

// comeBack is how long a gateway may take to reach a Redis that is back: its client tries once a second
// when it has failed often.
const comeBack = 2 * time.Second

// RedisOptions say how Redis is reached.
type RedisOptions struct {
	Client *redisdb.Client // no call was made with it yet
	// WriteTime is how long a write to a service may take, from its being sent to its being answered.
	WriteTime time.Duration
}

// shared is the versions of gateways that share a Redis. What this gateway could not tell Redis it
// owes: until it has, it takes nothing from the cache.
type shared struct {
	client  *redisdb.Client
	options RedisOptions
	logger  *slog.Logger
	metrics *metrics
	debts   *debts
	trust   trust

	line  line
	queue queue

	installation atomic.Pointer[string] // what its keys begin with
	// neighbour has another gateway tell Redis what this one cannot; nil when there is no way to ask.
	neighbour func(ctx context.Context, tags []string) error
}

var _ versions = (*shared)(nil)

// errAway says that versions cannot be told now.
var errAway = errors.New("the versions of the cache cannot be told")

func newShared(options RedisOptions, logger *slog.Logger, m *metrics) *shared {
	s := &shared{options: options, logger: logger, metrics: m, debts: newDebts(), queue: newQueue()}
	s.client = options.Client
	s.client.OnConnect(s.greet)
	s.client.OnBreakerOpen(func() { // others may have failed to tell it what they wrote
		s.trust.lose()
		s.debts.owe(everything)
	})
	return s
}

// everything is the tag of every entry.
const everything = "all"

// greet sees to it that nothing is believed of a Redis that is not the process it was.
func (s *shared) greet(ctx context.Context, conn *redis.Conn) error {
	info, err := conn.InfoMap(ctx, "server").Result()
	if err != nil {
		return fmt.Errorf("ask redis which process it is: %w", err)
	}
	run := info["Server"]["run_id"]
	if run == "" {
		return errors.New("redis does not say which process it is")
	}
	return conn.Eval(ctx, greetScript, []string{prefix + "run", s.tagKey(everything)}, run, millis(s.options.WriteTime+comeBack)).Err()
}

// begin keeps installations apart that share a Redis: what is of one begins with the name of its stream
// of events.
func (s *shared) begin(stream string) {
	own := prefix + stream + ":"
	s.installation.Store(&own)
}

// own is what the keys of this installation begin with.
func (s *shared) own() string {
	if own := s.installation.Load(); own != nil {
		return *own
	}
	return prefix
}

// tagKey is where the version of a tag stands. That of everything is the same for all installations.
func (s *shared) tagKey(tag string) string {
	if tag == everything {
		return prefix + "tag:" + tag
	}
	return s.own() + "tag:" + tag
}

func (s *shared) valueKey(key string) string { return s.own() + "value:" + key }

func millis(d time.Duration) int64 { return max(d.Milliseconds(), 1) }

// do asks Redis, unless the breaker is open.
func (s *shared) do(ctx context.Context, call redisdb.Call) error {
	return s.client.Do(ctx, s.noting(call))
}

// insist asks Redis even if the breaker is open: of writes it must be told when it can be, because others
// may reach it.
func (s *shared) insist(ctx context.Context, call redisdb.Call) error {
	return s.client.DoAlways(ctx, s.noting(call))
}

// noting notes that a call has failed.
func (s *shared) noting(call redisdb.Call) redisdb.Call {
	return func(ctx context.Context, client *redis.Client) error {
		err := call(ctx, client)
		if err != nil {
			s.trust.lose()
		}
		return err
	}
}

func (s *shared) look(tags, keys []string) ([]version, [][]byte, error) {
	if s.debts.any() || s.trust.waits() {
		return nil, nil, errAway
	}
	q := &question{tags: s.tagKeys(tags), values: make([][]byte, len(keys)), found: make([]version, len(tags)), turn: make(chan []*question, 1)}
	q.keys = make([]string, len(keys))
	for i, key := range keys {
		q.keys[i] = s.valueKey(key)
	}
	s.ask(q)
	if q.err != nil || s.debts.any() || !s.trust.again() {
		return nil, nil, errors.Join(errAway, q.err)
	}
	return q.found, q.values, nil
}

// settle reads versions, and draws them for tags that have none. What is no version of ours is taken
// away: the next one who asks draws one.
func (s *shared) settle(ctx context.Context, client *redis.Client, names []string, answer []any) ([]version, error) {
	found := make([]version, len(names))
	var missing []int
	var broken []string
	for i, value := range answer {
		text, ok := value.(string)
		if !ok {
			missing = append(missing, i)
			continue
		}
		if found[i] = parseVersion(text); !found[i].settled() && (!strings.HasPrefix(text, marked) || s.stuck(ctx, client, names[i])) {
			broken = append(broken, names[i])
		}
	}
	if len(missing)+len(broken) == 0 {
		return found, nil
	}
	pipe := client.Pipeline()
	now := make([]*redis.StringCmd, len(missing))
	for at, i := range missing {
		pipe.SetNX(ctx, names[i], newVersion().String(), tagLife)
		now[at] = pipe.Get(ctx, names[i])
	}
	if len(broken) > 0 {
		pipe.Del(ctx, broken...)
	}
	if _, err := pipe.Exec(ctx); err != nil && !says(err, saysFull) && !says(err, saysOtherType) {
		return nil, err
	}
	for at, i := range missing {
		if found[i] = parseVersion(now[at].Val()); says(now[at].Err(), saysOtherType) {
			_ = client.Del(ctx, names[i]).Err() // until then it is no version
		}
	}
	return found, nil
}

// marked begins a tag that is being written.
const marked = "!"

// stuck tells now and then of a mark that would never end, which is none of ours.
func (s *shared) stuck(ctx context.Context, client *redis.Client, name string) bool {
	const seldom = 50
	if rand.IntN(seldom) > 0 {
		return false
	}
	left, err := client.PTTL(ctx, name).Result()
	return err == nil && left == -1
}

// What Redis says.
const (
	saysFull      = "OOM "
	saysOtherType = "WRONGTYPE "
)

// says tells whether the error is an answer of Redis, and this one.
func says(err error, what string) bool {
	said, ok := errors.AsType[redis.Error](err)
	return ok && strings.HasPrefix(said.Error(), what)
}

func (s *shared) mark(ctx context.Context, writer string, tags []string) {
	err := s.insist(ctx, func(ctx context.Context, client *redis.Client) error {
		return client.Eval(ctx, markScript, s.tagKeys(tags), writer, millis(s.options.WriteTime)).Err()
	})
	if err != nil {
		s.logger.DebugContext(ctx, "a write is not marked", "error", err.Error())
	}
}

func (s *shared) tagKeys(tags []string) []string {
	keys, own := make([]string, len(tags)), s.own()
	for i, tag := range tags {
		if keys[i] = own + "tag:" + tag; tag == everything {
			keys[i] = s.tagKey(tag)
		}
	}
	return keys
}

// release tells Redis, else has another gateway tell it, and owes it in any case.
func (s *shared) release(ctx context.Context, writer string, tags []string) {
	err := s.tell(ctx, writer, tags)
	if err == nil {
		return
	}
	s.debts.owe(tags...)
	if writer == "" || s.neighbour == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.client.Timeout())
	defer cancel()
	if err := s.neighbour(ctx, tags); err != nil {
		s.logger.WarnContext(ctx, "neither this gateway nor another could tell redis of a write: others may keep what was before it until its event arrives",
			"tags", strings.Join(tags, " "))
	}
}

func (s *shared) tell(ctx context.Context, writer string, tags []string) error {
	return s.insist(ctx, func(ctx context.Context, client *redis.Client) error {
		return client.Eval(ctx, releaseScript, s.tagKeys(tags), writer, newVersion().String(), millis(tagLife)).Err()
	})
}

// payEvery is how often it is tried to pay what is owed.
const payEvery = 100 * time.Millisecond

// pay pays what is owed as soon as Redis takes it, until ctx ends.
func (s *shared) pay(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.debts.owed:
		}
		for !s.payOnce(ctx) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(payEvery):
			}
		}
	}
}

// payOnce tells whether nothing is owed any more.
func (s *shared) payOnce(ctx context.Context) bool {
	owed := s.debts.list()
	if len(owed) == 0 {
		return true
	}
	if s.tell(ctx, "", slices.Collect(maps.Keys(owed))) != nil {
		return false
	}
	return s.debts.paid(owed)
}
