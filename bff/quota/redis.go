package quota

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/bff"
)

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

// take takes points, or gives them when they are below 0.
func (r *inRedis) take(ctx context.Context, key string, limit, points int) (bff.Budget, error) {
	interval := strconv.FormatFloat(float64(time.Minute.Microseconds())/float64(limit), 'g', 17, 64)
	answer, err := r.script.Run(ctx, r.client, []string{"sluice:budget:" + key}, interval, limit, points).Int64Slice()
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
