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
var gcraScript string

// redisLedger implements the generic cell rate algorithm (GCRA). The value of a key is the time at which the refill
// ends, by the clock of Redis; the key expires then.
type redisLedger struct{ script *redis.Script }

func newRedisLedger() redisLedger { return redisLedger{redis.NewScript(gcraScript)} }

// charge adds the refund and then takes the points, in one atomic script. ok is false if there are too few; wait is
// the time until there are enough.
func (r redisLedger) charge(ctx context.Context, client redis.Scripter, key string, limit, points, refund int) (left bff.Budget, ok bool, wait time.Duration, err error) {
	interval := strconv.FormatFloat(float64(time.Minute.Microseconds())/float64(limit), 'g', 17, 64)
	reply, err := r.script.Run(ctx, client, []string{"sluice:budget:" + key}, interval, limit, points, refund).Int64Slice()
	if err != nil {
		return bff.Budget{}, false, 0, fmt.Errorf("take points from a budget in redis: %w", err)
	}
	if len(reply) != 3 {
		return bff.Budget{}, false, 0, fmt.Errorf("take points from a budget in redis: the reply is %v", reply)
	}
	return budget(limit, int(reply[1])), reply[0] == 1, time.Duration(reply[2]) * time.Microsecond, nil
}
