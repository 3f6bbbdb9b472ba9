package cache

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/cache/policy"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/redisdb"
	"github.com/sluicehq/sluice/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testserver.SleepingDials()) }

// soon bounds each wait of these tests.
const soon = time.Minute

// writeTime is the longest time of a write in these tests, and so the time in which a new Redis is not used.
const writeTime = 300 * time.Millisecond

// recoveryTime is that of package versions: the quarantine after an outage.
const recoveryTime = 2 * time.Second

// service is a device service in memory: each call sees all writes that returned before it. It logs its calls.
type service struct {
	bff.Devices
	mu      sync.Mutex
	devices map[string]bff.Device
	log     []string
	fail    error
	before  func(call string) // runs at the begin of a call; may be nil
	between func(call string) // runs after the work of a call and before it returns; may be nil
}

func newService(ids ...string) *service {
	s := &service{devices: map[string]bff.Device{}}
	for _, id := range ids {
		s.devices[id] = bff.Device{ID: id, Name: "initial", Kind: "VEHICLE", Version: 1, CreatedAt: time.Unix(1, 0).UTC()}
	}
	return s
}

func (s *service) call(call string) (end func(), err error) {
	if s.before != nil {
		s.before(call)
	}
	s.mu.Lock()
	s.log = append(s.log, call)
	return func() {
		s.mu.Unlock()
		if s.between != nil {
			s.between(call)
		}
	}, s.fail
}

func (s *service) GetDevices(_ context.Context, ids []string) ([]*bff.Device, error) {
	end, err := s.call("get " + strings.Join(ids, " "))
	defer end()
	var found []*bff.Device
	for _, id := range ids {
		if d, ok := s.devices[id]; ok {
			found = append(found, &d)
		}
	}
	return found, err
}

func (s *service) ListDevices(ctx context.Context, _ *bff.DeviceFilter, _ bff.DeviceOrder, page bff.PageRequest) (bff.Page[bff.Device], error) {
	end, err := s.call(fmt.Sprint("list ", page.First))
	defer end()
	var p bff.Page[bff.Device]
	for _, d := range s.devices {
		if caller.FromContext(ctx).Staff() || d.Kind == "VEHICLE" {
			p.Items, p.Cursors = append(p.Items, &d), append(p.Cursors, d.ID)
		}
	}
	slices.SortFunc(p.Items, func(a, b *bff.Device) int { return strings.Compare(a.ID, b.ID) })
	return p, err
}

func (s *service) UpdateDevice(_ context.Context, input bff.UpdateDeviceInput) (*bff.Device, error) {
	end, err := s.call("update " + input.ID)
	defer end()
	d, ok := s.devices[input.ID]
	if err != nil || !ok {
		return nil, err
	}
	d.Name, d.Version = *input.Name, d.Version+1
	s.devices[input.ID] = d
	return &d, nil
}

func (s *service) RegisterDevice(_ context.Context, input bff.RegisterDeviceInput) (*bff.RegisteredDevice, error) {
	end, err := s.call("register " + input.Name)
	defer end()
	d := bff.Device{ID: input.Name, Name: input.Name, Kind: input.Kind}
	s.devices[d.ID] = d
	return &bff.RegisteredDevice{Device: &d}, err
}

// change is a write through no gateway.
func (s *service) change(id, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[id]
	d.Name = name
	s.devices[id] = d
}

// calls returns the calls since the last time.
func (s *service) calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.log
	s.log = nil
	return log
}

// gateway is a cache in front of a service.
type gateway struct {
	*Cache
	bff.Devices
	clock *clock.Manual
}

// prefix begins all keys of the cache in Redis.
const prefix = "{sluice:cache}:"

func noon() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }

// openGateway opens a gateway whose cache can be used, with Redis if there is a server.
func openGateway(t *testing.T, s bff.Devices, server *testserver.Redis, change func(*Options)) *gateway {
	t.Helper()
	g := newGateway(t, s, func(o *Options) {
		if server != nil {
			const timeout = 10 * time.Second
			o.Redis = connect(t, server.URL(), timeout)
		}
		if change != nil {
			change(o)
		}
	})
	g.awaitUse(t)
	return g
}

// connect opens the Redis client of a gateway.
func connect(t testing.TB, url string, timeout time.Duration) *RedisOptions {
	t.Helper()
	client, err := redisdb.Open(redisdb.Options{URL: url, Timeout: timeout, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &RedisOptions{Client: client, WriteTime: writeTime}
}

// inspect returns a client of the server that belongs to no gateway.
func inspect(t testing.TB, server *testserver.Redis) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// newGateway opens a gateway whose cache may be unusable.
func newGateway(t *testing.T, s bff.Devices, change func(*Options)) *gateway {
	t.Helper()
	clk := clock.NewManual(noon())
	options := Options{Memory: 1 << 20, MaxEntry: 10_000, Clock: clk, Logger: slog.New(slog.DiscardHandler)}
	change(&options)
	c := New(options)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return &gateway{Cache: c, Devices: c.Devices(s), clock: clk}
}

// awaitUse waits until the cache stores entries. In a new Redis it does so when no earlier write can be in progress.
func (g *gateway) awaitUse(t *testing.T) {
	t.Helper()
	eventually(t, "the cache to be used", func() bool {
		found, _, err := g.versions.Lookup([]string{policy.TagAll}, nil)
		return err == nil && found[0].IsStable()
	})
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !holds(); <-time.After(5 * time.Millisecond) { // between two attempts
		if time.Now().After(deadline) {
			t.Fatalf("timed out while waiting for %s", what)
		}
	}
}

func as(t *testing.T, who caller.Caller) context.Context {
	t.Helper()
	return caller.NewContext(t.Context(), who)
}

func operator() caller.Caller {
	return caller.Caller{AccountID: "account_1", Role: caller.Operator, Scopes: caller.ScopesOf(caller.Operator)}
}

func member(id string) caller.Caller {
	return caller.Caller{AccountID: id, Role: caller.Member, Scopes: caller.ScopesOf(caller.Member)}
}

// names reads devices and returns their names in the order of the ids; "-" for a missing one.
func names(t *testing.T, ctx context.Context, g bff.Devices, ids ...string) string {
	t.Helper()
	found, err := g.GetDevices(ctx, ids)
	if err != nil {
		return errs.From(err).Reason
	}
	shown := make([]string, len(ids))
	for i, id := range ids {
		shown[i] = "-"
		for _, d := range found {
			if d.ID == id {
				shown[i] = d.Name
			}
		}
	}
	return strings.Join(shown, ",")
}

func rename(t *testing.T, ctx context.Context, g bff.Devices, id, name string) {
	t.Helper()
	if _, err := g.UpdateDevice(ctx, bff.UpdateDeviceInput{ID: id, Name: &name}); err != nil {
		t.Fatal(err)
	}
}

// check compares the calls of the service.
func (s *service) check(t *testing.T, what string, want ...string) {
	t.Helper()
	if got := s.calls(); !slices.Equal(got, want) {
		t.Errorf("%s: the calls of the service are %q, want %q", what, got, want)
	}
}

// eachTier runs a test on a gateway that runs alone, and on one with Redis.
func eachTier(t *testing.T, test func(t *testing.T, server *testserver.Redis)) {
	t.Run("alone", func(t *testing.T) { t.Parallel(); test(t, nil) })
	t.Run("with redis", func(t *testing.T) { t.Parallel(); test(t, testserver.StartRedis(t)) })
}
