package redisdb_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/redisdb"
	"github.com/sluicehq/sluice/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testserver.SleepingDials()) }

// soon bounds every wait of these tests.
const soon = time.Minute

func open(t *testing.T, url string, change func(*redisdb.Options)) *redisdb.Client {
	t.Helper()
	options := redisdb.Options{URL: url, Timeout: 10 * time.Second, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&options)
	}
	client, err := redisdb.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func ping(ctx context.Context, client *redis.Client) error { return client.Ping(ctx).Err() }

func TestBreakerOpensWhenRedisHangsAndClosesWhenItAnswers(t *testing.T) {
	t.Parallel()
	server, registry := testserver.StartRedis(t), prometheus.NewRegistry()
	client := open(t, server.URL(), func(o *redisdb.Options) { o.Timeout, o.Registry = 500*time.Millisecond, registry })
	opened := 0
	client.OnBreakerOpen(func() { opened++ })
	for client.Do(t.Context(), ping) != nil { // until a first connection is made in time
		<-time.After(50 * time.Millisecond)
	}
	opened = 0
	server.Hang(t)
	for range 3 {
		if err := client.Do(t.Context(), ping); err == nil || redisdb.IsRefused(err) {
			t.Errorf("a call to a suspended server returns %v", err)
		}
	}
	if err := client.Do(t.Context(), ping); !redisdb.IsRefused(err) || client.State() != "open" || opened != 1 {
		t.Errorf("after three failures the breaker is %s and a call returns %v; %d hooks ran", client.State(), err, opened)
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 2 || families[0].GetMetric()[0].GetGauge().GetValue() != 2 {
		t.Errorf("the metrics are %v, %v", families, err)
	}
	if err := client.DoAlways(t.Context(), ping); err == nil || redisdb.IsRefused(err) {
		t.Errorf("a call past the open breaker returns %v", err)
	}
	server.Resume(t)
	for began := time.Now(); client.Do(t.Context(), ping) != nil; <-time.After(50 * time.Millisecond) {
		if time.Since(began) > soon {
			t.Fatalf("Redis answers, and the breaker is %s", client.State())
		}
	}
}

func TestBreakerStaysClosedWhenAReplyConcernsOneCall(t *testing.T) {
	t.Parallel()
	client := open(t, testserver.StartRedis(t).URL(), nil)
	for range 10 {
		err := client.Do(t.Context(), func(ctx context.Context, c *redis.Client) error { return c.Get(ctx, "missing").Err() })
		if !errors.Is(err, redis.Nil) {
			t.Errorf("a missing key returns %v", err)
		}
		if err := client.Do(t.Context(), func(ctx context.Context, c *redis.Client) error { return c.Do(ctx, "NONSENSE").Err() }); err == nil {
			t.Error("an unknown command succeeds")
		}
	}
	if client.State() != "closed" {
		t.Errorf("the breaker is %s", client.State())
	}
}

func TestBreakerOpensWhenRedisRefusesThePassword(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer func() { _ = admin.Close() }()
	if err := admin.ConfigSet(t.Context(), "requirepass", "another").Err(); err != nil {
		t.Fatal(err)
	}
	client := open(t, "redis://:sesame@"+server.Addr(), nil)
	for range 3 {
		if err := client.Do(t.Context(), ping); err == nil {
			t.Error("a wrong password is accepted")
		}
	}
	if client.State() != "open" {
		t.Errorf("the breaker is %s", client.State())
	}
}

func TestCallContinuesWhenItsCallerGoesAway(t *testing.T) {
	t.Parallel()
	client := open(t, testserver.StartRedis(t).URL(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := client.Do(ctx, ping); err != nil {
		t.Error(err)
	}
}

func TestOnConnectRunsBeforeTheFirstCommandAndPanicsAfterIt(t *testing.T) {
	t.Parallel()
	client := open(t, testserver.StartRedis(t).URL(), nil)
	client.OnConnect(func(ctx context.Context, conn *redis.Conn) error { return conn.Set(ctx, "greeting", "hello", 0).Err() })
	err := client.Do(t.Context(), func(ctx context.Context, c *redis.Client) error { return c.Get(ctx, "greeting").Err() })
	if err != nil {
		t.Error(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a hook was registered after the first call")
		}
	}()
	client.OnConnect(nil)
}

func TestOpenRefusesAnURLThatIsNotOfRedis(t *testing.T) {
	t.Parallel()
	if _, err := redisdb.Open(redisdb.Options{URL: "http://localhost"}); err == nil {
		t.Error("an http:// URL is accepted")
	}
}
