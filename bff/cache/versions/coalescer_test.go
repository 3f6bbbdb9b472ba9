package versions

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/bff/cache/policy"
	"github.com/sluicehq/sluice/internal/redisdb"
	"github.com/sluicehq/sluice/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, testserver.SleepingDials()) }

// soon bounds each wait of these tests.
const soon = time.Minute

const writeTime = 300 * time.Millisecond

// openShared opens a store and waits until Redis has stable versions.
func openShared(t *testing.T, server *testserver.Redis, timeout time.Duration) *Shared {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	client, err := redisdb.Open(redisdb.Options{URL: server.URL(), Timeout: timeout, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	s := NewShared(Options{Client: client, WriteTime: writeTime, Logger: logger, Metrics: NewMetrics(nil)})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait(); _ = client.Close() })
	eventually(t, "stable versions", func() bool {
		found, _, err := s.Lookup([]string{policy.TagAll}, nil)
		return err == nil && found[0].IsStable()
	})
	return s
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !holds(); <-time.After(5 * time.Millisecond) { // between two attempts
		if time.Now().After(deadline) {
			t.Fatalf("timed out while waiting for %s", what)
		}
	}
}

// startLookups starts concurrent lookups while Redis hangs. wait returns their errors.
func startLookups(t *testing.T, s *Shared, n int) (wait func() []error) {
	t.Helper()
	failures := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			found, _, err := s.Lookup([]string{policy.TagAll, "device"}, nil)
			if failures[i] = err; err == nil && (!found[0].IsStable() || !found[1].IsStable()) {
				t.Errorf("lookup %d returns %v", i, found)
			}
		})
	}
	eventually(t, "all lookups to wait", func() bool {
		s.coalescer.mu.Lock()
		defer s.coalescer.mu.Unlock()
		return s.coalescer.busy && len(s.coalescer.waiting) == n-1
	})
	return func() []error { all.Wait(); return failures }
}

// Lookups that arrive while one is in flight are one batch.
func TestLookupsDuringABatchAreOneBatch(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	s := openShared(t, server, 10*time.Second)
	_, _, _ = s.Lookup([]string{"device"}, nil) // draws a version
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer func() { _ = client.Close() }()
	if err := client.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	server.Hang(t)
	wait := startLookups(t, s, 50)
	server.Resume(t)
	for _, err := range wait() {
		if err != nil {
			t.Error(err)
		}
	}
	stats, err := client.Info(t.Context(), "commandstats").Result()
	if want := "cmdstat_mget:calls=2,"; err != nil || !strings.Contains(stats, want) {
		t.Errorf("want %s, got %v\n%s", want, err, stats)
	}
}

// Lookups that wait for a batch fail with it. They do not wait for another timeout.
func TestLookupsBehindAFailedBatchFailAtOnce(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	s := openShared(t, server, writeTime)
	server.Hang(t)
	defer server.Resume(t)
	for _, err := range startLookups(t, s, 50)() {
		if err == nil {
			t.Error("a lookup succeeds")
		}
	}
	if s.coalescer.busy || len(s.coalescer.waiting) != 0 {
		t.Errorf("a batch is in flight (%v), and %d lookups wait", s.coalescer.busy, len(s.coalescer.waiting))
	}
	if state := s.client.State(); state != "open" {
		t.Errorf("after many failed lookups the breaker is %s", state)
	}
}
