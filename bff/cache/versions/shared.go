package versions

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/bff/cache/policy"
	"github.com/sluicehq/sluice/internal/redisdb"
	"github.com/sluicehq/sluice/internal/worker"
)

//go:embed mark.lua
var markScript string

//go:embed release.lua
var releaseScript string

//go:embed detect_restart.lua
var detectRestartScript string

// commonPrefix begins every key: all keys are in one slot of a Redis cluster.
const commonPrefix = "{sluice:cache}:"

// tagTTL is the TTL of a version, longer than that of any entry.
const tagTTL = time.Hour

// recoveryTime is how long a gateway may take to reach a Redis that is available again: its client tries once a
// second.
const recoveryTime = 2 * time.Second

// Options configure a Shared store.
type Options struct {
	Client    *redisdb.Client // before its first call
	WriteTime time.Duration   // maximum time of a write, from the request to its response
	Logger    *slog.Logger
	Metrics   *Metrics
}

// Shared has the versions and values of gateways that share a Redis.
type Shared struct {
	client     *redisdb.Client
	writeTime  time.Duration
	logger     *slog.Logger
	metrics    *Metrics
	backlog    *backlog
	quarantine quarantine
	coalescer  coalescer
	queue      writeQueue

	installation atomic.Pointer[string] // the prefix of its keys
	// askPeer lets another gateway invalidate tags in Redis; nil without a broker.
	askPeer func(ctx context.Context, tags []string) error
}

var _ Store = (*Shared)(nil)

// errUnknown means that no version is known now.
var errUnknown = errors.New("the versions of the cache are unknown")

// NewShared returns a store in Redis. Run executes its background work.
func NewShared(options Options) *Shared {
	s := &Shared{
		client: options.Client, writeTime: options.WriteTime, logger: options.Logger, metrics: options.Metrics,
		backlog: newBacklog(), queue: newWriteQueue(),
	}
	s.client.OnConnect(s.detectRestart)
	s.client.OnBreakerOpen(func() { // invalidations of other gateways may have failed too
		s.quarantine.start()
		s.backlog.enqueue(policy.TagAll)
	})
	return s
}

// Run flushes the backlog and writes queued values until ctx ends.
func (s *Shared) Run(ctx context.Context) {
	var flushing sync.WaitGroup
	flushing.Go(func() { _ = worker.New(s.flushing(), worker.Options{}).Run(ctx) }) // an outage of Redis is logged by its breaker
	s.writeQueued(ctx)
	flushing.Wait()
}

// detectRestart invalidates all entries after a restart of Redis. It runs on each new connection.
func (s *Shared) detectRestart(ctx context.Context, conn *redis.Conn) error {
	info, err := conn.InfoMap(ctx, "server").Result()
	if err != nil {
		return fmt.Errorf("read the run id of redis: %w", err)
	}
	run := info["Server"]["run_id"]
	if run == "" {
		return errors.New("redis has no run id")
	}
	keys := []string{commonPrefix + "run", s.tagKey(policy.TagAll)}
	return conn.Eval(ctx, detectRestartScript, keys, run, milliseconds(s.writeTime+recoveryTime)).Err()
}

// setInstallation sets the prefix of the keys, so that installations can share a Redis: the name of the stream of
// events.
func (s *Shared) setInstallation(name string) {
	prefix := commonPrefix + name + ":"
	s.installation.Store(&prefix)
}

func (s *Shared) prefix() string {
	if prefix := s.installation.Load(); prefix != nil {
		return *prefix
	}
	return commonPrefix
}

func (s *Shared) tagKey(tag string) string {
	if tag == policy.TagAll {
		return commonPrefix + "tag:" + tag
	}
	return s.prefix() + "tag:" + tag
}

func (s *Shared) tagKeys(tags []string) []string {
	keys := make([]string, len(tags))
	for i, tag := range tags {
		keys[i] = s.tagKey(tag)
	}
	return keys
}

func (s *Shared) valueKey(key string) string { return s.prefix() + "value:" + key }

func milliseconds(d time.Duration) int64 { return max(d.Milliseconds(), 1) }

func (s *Shared) do(ctx context.Context, call redisdb.Call) error {
	return s.client.Do(ctx, s.quarantined(call))
}

// doAlways calls Redis even if the breaker is open, because an invalidation must not wait for a trial call.
func (s *Shared) doAlways(ctx context.Context, call redisdb.Call) error {
	return s.client.DoAlways(ctx, s.quarantined(call))
}

func (s *Shared) quarantined(call redisdb.Call) redisdb.Call {
	return func(ctx context.Context, client *redis.Client) error {
		err := call(ctx, client)
		if err != nil {
			s.quarantine.start()
		}
		return err
	}
}

// Lookup implements Store.
func (s *Shared) Lookup(tags, keys []string) ([]Version, [][]byte, error) {
	if !s.backlog.isEmpty() || s.quarantine.isRunning() {
		return nil, nil, errUnknown
	}
	l := &lookup{
		tags: s.tagKeys(tags), keys: make([]string, len(keys)), versions: make([]Version, len(tags)), values: make([][]byte, len(keys)),
		batch: make(chan []*lookup, 1),
	}
	for i, key := range keys {
		l.keys[i] = s.valueKey(key)
	}
	s.execute(l)
	if l.err != nil || !s.backlog.isEmpty() || !s.quarantine.succeed() {
		return nil, nil, errors.Join(errUnknown, l.err)
	}
	return l.versions, l.values, nil
}

// resolve parses the versions of tags, and draws one for a tag without a version. It deletes a value that is neither
// a version nor a mark, so that the next lookup draws one.
func (s *Shared) resolve(ctx context.Context, client *redis.Client, names []string, values []any) ([]Version, error) {
	found := make([]Version, len(names))
	var missing []int
	var broken []string
	for i, value := range values {
		text, ok := value.(string)
		if !ok {
			missing = append(missing, i)
			continue
		}
		if found[i] = parse(text); !found[i].IsStable() && (!strings.HasPrefix(text, markPrefix) || hasNoTTL(ctx, client, names[i])) {
			broken = append(broken, names[i])
		}
	}
	if len(missing)+len(broken) == 0 {
		return found, nil
	}
	pipe := client.Pipeline()
	drawn := make([]*redis.StringCmd, len(missing))
	for n, i := range missing {
		pipe.SetNX(ctx, names[i], New().String(), tagTTL)
		drawn[n] = pipe.Get(ctx, names[i])
	}
	if len(broken) > 0 {
		pipe.Del(ctx, broken...)
	}
	if _, err := pipe.Exec(ctx); err != nil && !isReply(err, replyFull) && !isReply(err, replyOtherType) {
		return nil, err
	}
	for n, i := range missing {
		if found[i] = parse(drawn[n].Val()); isReply(drawn[n].Err(), replyOtherType) {
			_ = client.Del(ctx, names[i]).Err() // until then the tag has no version
		}
	}
	return found, nil
}

// markPrefix begins the value of a tag during a write of it.
const markPrefix = "!"

// hasNoTTL checks one of fifty marks, and reports whether it never expires. Such a mark is not of a gateway.
func hasNoTTL(ctx context.Context, client *redis.Client, name string) bool {
	const checkEvery = 50
	if rand.IntN(checkEvery) > 0 {
		return false
	}
	ttl, err := client.PTTL(ctx, name).Result()
	return err == nil && ttl == -1
}

// Prefixes of error replies.
const (
	replyFull      = "OOM "
	replyOtherType = "WRONGTYPE "
)

func isReply(err error, prefix string) bool {
	reply, ok := errors.AsType[redis.Error](err)
	return ok && strings.HasPrefix(reply.Error(), prefix)
}

// Mark implements Store.
func (s *Shared) Mark(ctx context.Context, writer string, tags []string) {
	err := s.doAlways(ctx, func(ctx context.Context, client *redis.Client) error {
		return client.Eval(ctx, markScript, s.tagKeys(tags), writer, milliseconds(s.writeTime)).Err()
	})
	if err != nil {
		s.logger.DebugContext(ctx, "a write is not marked", "error", err.Error())
	}
}

// Release implements Store. Without Redis, it requests a peer to invalidate the tags, and enqueues them in any case.
func (s *Shared) Release(ctx context.Context, writer string, tags []string) {
	if s.release(ctx, writer, tags) == nil {
		return
	}
	s.backlog.enqueue(tags...)
	if writer == "" || s.askPeer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.client.Timeout())
	defer cancel()
	if err := s.askPeer(ctx, tags); err != nil {
		s.logger.WarnContext(ctx, "neither this gateway nor a peer could invalidate tags in redis: other gateways may serve stale entries until the event of the write arrives",
			"tags", strings.Join(tags, " "))
	}
}

func (s *Shared) release(ctx context.Context, writer string, tags []string) error {
	return s.doAlways(ctx, func(ctx context.Context, client *redis.Client) error {
		return client.Eval(ctx, releaseScript, s.tagKeys(tags), writer, New().String(), milliseconds(tagTTL)).Err()
	})
}
