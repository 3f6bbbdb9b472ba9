package quota

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/sluicehq/sluice/bff"
)

// Connect opens a client that waits for nothing longer than the timeout: a question that Redis does
// not answer in time is not asked again. The URL is redis://, rediss:// or unix://.
func Connect(url string, timeout time.Duration) (*redis.Client, error) {
	options, err := Patience(url, timeout)
	if err != nil {
		return nil, err
	}
	return redis.NewClient(options), nil
}

// Patience is the options of such a client, for who has more to say.
func Patience(url string, timeout time.Duration) (*redis.Options, error) {
	silence()
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("read the URL of redis: %w", err)
	}
	options.DialTimeout, options.DialerRetries = timeout, 1
	options.ReadTimeout, options.WriteTimeout, options.PoolTimeout = timeout, timeout, timeout
	options.ContextTimeoutEnabled = true
	options.MaxRetries = -1
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return options, nil
}

// silence keeps the client's own lines, which are in no form of ours, out of the log. The client has
// one logger for the whole process, so it is set once.
var silence = sync.OnceFunc(func() { redis.SetLogger(noLog{}) })

type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

//go:embed gcra.lua
var gcra string

// inRedis keeps budgets by the generic cell rate algorithm: a key holds the time at which its budget
// will be whole again, by the clock of Redis, and is gone when it is. Its errors are refusals, as
// those of every ledger, or say that Redis did not answer.
type inRedis struct {
	client redis.Scripter
	script *redis.Script
}

func newInRedis(client redis.Scripter) *inRedis {
	return &inRedis{client: client, script: redis.NewScript(gcra)}
}

// take takes points, and before that gives back what is owed.
func (r *inRedis) take(ctx context.Context, key string, limit, points, owed int) (bff.Budget, error) {
	interval := strconv.FormatFloat(float64(time.Minute.Microseconds())/float64(limit), 'g', 17, 64)
	answer, err := r.script.Run(ctx, r.client, []string{"sluice:budget:" + key}, interval, limit, points, owed).Int64Slice()
	if err != nil {
		return bff.Budget{}, fmt.Errorf("ask redis for a budget: %w", err)
	}
	if len(answer) != 3 {
		return bff.Budget{}, fmt.Errorf("ask redis for a budget: it answered %v", answer)
	}
	left := budget(limit, int(answer[1]))
	if answer[0] == 1 {
		return left, nil
	}
	return left, exhausted(points, left, time.Duration(answer[2])*time.Microsecond)
}
