package quota_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/internal/testserver"
)

// takeEach takes points one by one. It returns how many were taken, and the time of the slowest call.
func takeEach(t *testing.T, ledger quota.Ledger, times int) (taken int, slowest time.Duration) {
	t.Helper()
	for range times {
		started := time.Now()
		if _, err := ledger.Charge(t.Context(), "x", slow, 1); err == nil {
			taken++
		}
		slowest = max(slowest, time.Since(started))
	}
	return taken, slowest
}

func TestSharedTakeThroughTwoGatewaysUsesOneBudget(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	one := shared(connect(t, server.URL(), soon))
	other := shared(connect(t, server.URL(), soon))
	if taken, _ := takeEach(t, one, 6); taken != 6 {
		t.Fatalf("%d points were taken through the first gateway", taken)
	}
	if left, err := other.Charge(t.Context(), "x", slow, 0); err != nil || left.Remaining != slow-6 {
		t.Errorf("the other gateway sees %+v, %v", left, err)
	}
	if taken, _ := takeEach(t, other, 6); taken != slow-6 {
		t.Errorf("%d points were taken through the other gateway", taken)
	}
	one.Refund(t.Context(), "x", slow, 3)
	if left, err := one.Charge(t.Context(), "x", slow, 0); err != nil || left.Remaining != 3 { // sends the refund
		t.Errorf("after the refund there are %+v, %v", left, err)
	}
	if taken, _ := takeEach(t, other, 6); taken != 3 {
		t.Errorf("of 3 refunded points %d were taken through the other gateway", taken)
	}
}

// A full budget has no key in Redis.
func TestSharedKeyExpiresWhenTheBudgetIsFull(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	ledger := shared(connect(t, server.URL(), soon))
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	taken := time.Now()
	if _, err := ledger.Charge(t.Context(), "x", slow, 4); err != nil {
		t.Fatal(err)
	}
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("the keys are %v, %v", keys, err)
	}
	if ttl, err := client.PTTL(t.Context(), keys[0]).Result(); err != nil || ttl <= 23*time.Second-time.Since(taken) || ttl > 24*time.Second {
		t.Errorf("4 points expire in %s, %v, want the 24 s of their refill", ttl, err)
	}
	ledger.Refund(t.Context(), "x", slow, 4)
	if left, err := ledger.Charge(t.Context(), "x", slow, 0); err != nil || left.Remaining != slow {
		t.Errorf("after the refund there are %+v, %v", left, err)
	}
	if keys, err := client.Keys(t.Context(), "*").Result(); err != nil || len(keys) != 0 {
		t.Errorf("a full budget has the keys %v, %v", keys, err)
	}
}

// After a kill the gateway counts in its memory, with the same limit, and uses Redis when it is available.
func TestSharedTakeWithoutRedisCountsInMemory(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	ledger := shared(connect(t, server.URL(), 50*time.Millisecond))
	for { // until a first connection is made in time
		if _, err := ledger.Charge(t.Context(), "warm", 1000, 1); err != nil {
			t.Fatal(err)
		}
		if taken, _ := takeEach(t, ledger, 4); taken == 4 {
			break
		}
	}
	server.Kill(t)
	taken, slowest := takeEach(t, ledger, 100)
	if taken > slow+1 {
		t.Errorf("without Redis %d of %d points were taken", taken, slow)
	}
	if slowest > soon/2 {
		t.Errorf("without Redis a call took %s", slowest)
	}
	server.Start(t)
	restarted := time.Now()
	for ; ; <-time.After(50 * time.Millisecond) { // the breaker admits a trial call after a second
		left, err := ledger.Charge(t.Context(), "x", slow, 0)
		if err == nil && left.Remaining == slow { // Redis is empty, so the budget is full
			break
		}
		if time.Since(restarted) > soon {
			t.Fatalf("Redis is available and is not used: %+v, %v", left, err)
		}
	}
}

// Three calls wait for the timeout, the others do not wait.
func TestSharedTakeWhenRedisHangsWaitsForABoundedTime(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	server := testserver.StartRedis(t)
	ledger := shared(connect(t, server.URL(), timeout))
	if _, err := ledger.Charge(t.Context(), "x", slow, 1); err != nil {
		t.Fatal(err)
	}
	server.Hang(t)
	started := time.Now()
	taken, slowest := takeEach(t, ledger, 50)
	if taken > slow+1 {
		t.Errorf("without a reply %d of %d points were taken", taken, slow)
	}
	if slowest > 10*timeout || time.Since(started) > 25*timeout { // of 50 that all wait
		t.Errorf("50 calls took %s, the slowest %s", time.Since(started), slowest)
	}
	server.Resume(t)
}
