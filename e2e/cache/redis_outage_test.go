package cache

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
	"github.com/sluicehq/sluice/internal/testserver"
)

// redisTimeout is how long these gateways wait for Redis.
const redisTimeout = 500 * time.Millisecond

// crowd is callers of several gateways that never stop asking, and write down what they should not have seen.
type crowd struct {
	gateways []*harness.Program
	token    string
	stop     context.CancelFunc
	all      sync.WaitGroup
	asked    atomic.Int64
	written  atomic.Int64

	mu       sync.Mutex
	problems []string
}

func (c *crowd) problem(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.problems) < 20 {
		c.problems = append(c.problems, fmt.Sprintf(format, args...))
	}
}

// check reports what went wrong since the last time.
func (c *crowd) check(t *testing.T, when string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.problems {
		t.Errorf("%s: %s", when, p)
	}
	c.problems = nil
}

// begin lets readers and writers loose: a writer a device, which looks for its write through all gateways
// before it writes again.
func (c *crowd) begin(t *testing.T, devices []string, readers int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	c.stop = stop
	for i := range readers {
		c.all.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				c.ask(ctx, n, harness.DashboardQuery, nil)
			}
		})
	}
	for _, id := range devices {
		c.all.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				c.write(ctx, id, fmt.Sprint(n), n)
			}
		})
	}
}

func (c *crowd) end() {
	c.stop()
	c.all.Wait()
}

func (c *crowd) ask(ctx context.Context, gateway int, query string, variables harness.Vars) (data json.RawMessage) {
	began := time.Now()
	a, err := c.gateways[gateway%len(c.gateways)].Post(ctx, c.token, query, variables)
	switch {
	case ctx.Err() != nil:
	case err != nil || len(a.Errors) > 0:
		c.problem("%.60s is answered %v %v", query, a.Errors, err)
	case time.Since(began) > harness.RequestTimeout:
		c.problem("%.60s took %v", query, time.Since(began))
	}
	c.asked.Add(1)
	return a.Data
}

func (c *crowd) write(ctx context.Context, id, name string, n int) {
	c.ask(ctx, n, `mutation($id: ID!, $name: String!) { updateDevice(input: {id: $id, name: $name}) { id } }`, harness.Vars{"id": id, "name": name})
	for i := range 6 {
		var seen struct {
			Device  struct{ Name string }
			Devices struct{ Nodes []struct{ ID, Name string } }
		}
		data := c.ask(ctx, i, `query($id: ID!) { device(id: $id) { name } devices(first: 50) { nodes { id name } } }`, harness.Vars{"id": id})
		if ctx.Err() != nil {
			return
		}
		if err := json.Unmarshal(data, &seen); err != nil {
			c.problem("the data is %.100s", data)
			continue
		}
		for _, d := range seen.Devices.Nodes {
			if d.ID == id && d.Name != name {
				c.problem("after %s was written a list through gateway %d shows %s", name, i%len(c.gateways), d.Name)
			}
		}
		if seen.Device.Name != name {
			c.problem("after %s was written gateway %d shows %s", name, i%len(c.gateways), seen.Device.Name)
		}
	}
	c.written.Add(1)
}

// goOn waits until so many more writes were looked for.
func (c *crowd) goOn(t *testing.T, writes int64) {
	t.Helper()
	until := c.written.Load() + writes
	harness.Eventually(t, 3*harness.Timeout, "the crowd goes on", func() bool { return c.written.Load() >= until })
}

var redisQuestions = regexp.MustCompile(`(?m)^sluice_cache_redis_lookup_duration_seconds_count (\d+)`)

// questions is how often a gateway's cache has asked Redis.
func questions(t *testing.T, p *harness.Program) int {
	t.Helper()
	_, told := p.Get(t, "/metrics")
	found := redisQuestions.FindStringSubmatch(told)
	if found == nil {
		t.Fatal("the metrics do not tell of Redis")
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What gateways tell of the breaker of Redis, on their page and as a figure. One that has opened is half
// open after a second, until Redis answers.
var (
	closedBreaker = regexp.MustCompile(`^closed 0$`)
	openedBreaker = regexp.MustCompile(`^(open|half-open) [12]$`)
)

var breakerState = regexp.MustCompile(`(?m)^sluice_redis_breaker_state (\d)$`)

// breakers waits until the gateways tell this of the breaker of Redis, and are ready all the same.
func breakers(t *testing.T, gateways []*harness.Program, want *regexp.Regexp) {
	t.Helper()
	for i, p := range gateways {
		harness.Eventually(t, harness.Timeout, fmt.Sprintf("gateway %d says of the breaker %v", i, want), func() bool {
			var said struct {
				Redis struct{ Breaker string }
			}
			status, body := p.Get(t, "/readyz?verbose")
			if err := json.Unmarshal([]byte(body), &said); err != nil || status != http.StatusOK {
				t.Fatalf("gateway %d is not ready: %d %s %v", i, status, body, err)
			}
			_, told := p.Get(t, "/metrics")
			state := breakerState.FindStringSubmatch(told)
			return state != nil && want.MatchString(said.Redis.Breaker+" "+state[1])
		})
	}
}

// Redis hangs for some seconds, goes on, is killed and comes back empty, under load through two gateways:
// nobody is told an error or waits beyond the deadline, budgets hold, and nobody ever sees what was before
// a write that was answered.
func TestGatewaysWithHangingRedisReturnNoErrors(t *testing.T) {
	t.Parallel()
	redis, nats := testserver.StartRedis(t), testserver.StartNATS(t)
	in := harness.StartServices(t, "--nats-url", nats.URL(), "--redis-url", redis.URL(), "--redis-timeout", redisTimeout.String(),
		"--abuse-repeats", "1000000", "--quota-account-points", "1000000000", "--quota-anonymous-points", "30", "--overload-queue-time", "0")
	gateways := []*harness.Program{in.StartGateway(t, harness.ServiceToken), in.StartGateway(t, harness.ServiceToken)}
	c := &crowd{gateways: gateways, token: gateways[0].SignIn(t, "admin")}
	var devices []string
	for range 2 {
		devices = append(devices, harness.Query[struct {
			RegisterDevice struct{ Device struct{ ID string } }
		}](t, gateways[0], c.token, `mutation { registerDevice(input: {name: "0", kind: VEHICLE}) { device { id } } }`, nil).RegisterDevice.Device.ID)
	}
	c.begin(t, devices, 4)
	defer c.end()
	used := func(when string) {
		t.Helper()
		breakers(t, gateways, closedBreaker)
		one, other := found(t, gateways[0]), found(t, gateways[1])
		harness.Eventually(t, 2*harness.Timeout, "the cache is used "+when, func() bool {
			return found(t, gateways[0]) > one+100 && found(t, gateways[1]) > other+100
		})
		c.check(t, when)
	}
	used("at first")

	redis.Hang(t)
	before, asked := [2]int{questions(t, gateways[0]), questions(t, gateways[1])}, c.asked.Load()
	breakers(t, gateways, openedBreaker)
	budgetsHold(t, gateways)
	c.goOn(t, 6)
	for i, p := range gateways {
		n, all := int64(questions(t, p)-before[i]), c.asked.Load()-asked
		t.Logf("while Redis hung gateway %d asked it %d times, and there were %d requests", i, n, all)
		if all < 10*n {
			t.Errorf("while Redis hung gateway %d asked it %d times for %d requests: they have waited for it", i, n, all)
		}
	}
	c.check(t, "while Redis hung")
	redis.Resume(t)
	used("when Redis goes on")

	redis.Kill(t)
	c.goOn(t, 6)
	c.check(t, "without Redis")
	redis.Start(t)
	used("with a new Redis")
	c.goOn(t, 4)
	c.check(t, "in the end")
}

// budgetsHold spends more than what an anonymous caller has, at each gateway.
func budgetsHold(t *testing.T, gateways []*harness.Program) {
	t.Helper()
	const budget, late = 30, 10 // a minute; what may come back while a slow machine runs this
	for i, p := range gateways {
		if answered := harness.SpendPoints(t, p, "{ __typename }", 2*budget); answered > budget+late {
			t.Errorf("while Redis hangs gateway %d answers %d times of a budget of %d", i, answered, budget)
		}
	}
}
