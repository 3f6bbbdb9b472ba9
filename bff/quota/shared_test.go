package quota_test

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/internal/testserver"
)

// spend takes points one by one and gives how many there were, and how long the slowest took.
func spend(t *testing.T, ledger quota.Ledger, times int) (taken int, slowest time.Duration) {
	t.Helper()
	for range times {
		started := time.Now()
		if _, err := ledger.Take(t.Context(), "x", slow, 1); err == nil {
			taken++
		}
		slowest = max(slowest, time.Since(started))
	}
	return taken, slowest
}

func TestGatewaysShareABudget(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	one := shared(t, connect(t, server.URL(), soon), soon)
	other := shared(t, connect(t, server.URL(), soon), soon)
	if taken, _ := spend(t, one, 6); taken != 6 {
		t.Fatalf("the first gateway gave %d", taken)
	}
	if left, err := other.Take(t.Context(), "x", slow, 0); err != nil || left.Remaining != slow-6 {
		t.Errorf("the other gateway sees %+v, %v", left, err)
	}
	if taken, _ := spend(t, other, 6); taken != slow-6 {
		t.Errorf("the other gateway gave %d", taken)
	}
	one.Give(t.Context(), "x", slow, 3)
	if left, err := one.Take(t.Context(), "x", slow, 0); err != nil || left.Remaining != 3 { // which tells Redis
		t.Errorf("what was given back is not there: %+v, %v", left, err)
	}
	if taken, _ := spend(t, other, 6); taken != 3 {
		t.Errorf("of 3 points that the first gateway gave back the other gave %d", taken)
	}
}

// In Redis a budget leaves nothing behind once it is whole.
func TestWholeBudgetsTakeNoRoom(t *testing.T) {
	t.Parallel()
	client := connect(t, testserver.StartRedis(t).URL(), soon)
	ledger := shared(t, client, soon)
	taken := time.Now()
	if _, err := ledger.Take(t.Context(), "x", slow, 4); err != nil {
		t.Fatal(err)
	}
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("kept %v, %v", keys, err)
	}
	if kept, err := client.PTTL(t.Context(), keys[0]).Result(); err != nil || kept <= 23*time.Second-time.Since(taken) || kept > 24*time.Second {
		t.Errorf("4 points are kept for %s, %v, want the 24 s in which they come back", kept, err)
	}
	ledger.Give(t.Context(), "x", slow, 4)
	if left, err := ledger.Take(t.Context(), "x", slow, 0); err != nil || left.Remaining != slow {
		t.Errorf("what was given back is not there: %+v, %v", left, err)
	}
	if keys, err := client.Keys(t.Context(), "*").Result(); err != nil || len(keys) != 0 {
		t.Errorf("a whole budget is kept: %v, %v", keys, err)
	}
}

// Redis is killed: the gateway goes on by its memory, which is no larger than the budget, and asks
// Redis again when that is back.
func TestRedisKilled(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	ledger := shared(t, connect(t, server.URL(), 50*time.Millisecond), 50*time.Millisecond)
	for { // until a first connection is made in time
		if _, err := ledger.Take(t.Context(), "warm", 1000, 1); err != nil {
			t.Fatal(err)
		}
		if taken, _ := spend(t, ledger, 4); taken == 4 {
			break
		}
	}
	server.Kill(t)
	taken, slowest := spend(t, ledger, 100)
	if taken > slow+1 {
		t.Errorf("without Redis %d of %d points were taken", taken, slow)
	}
	if slowest > soon/2 {
		t.Errorf("without Redis an answer took %s", slowest)
	}
	server.Start(t)
	back := time.Now()
	for ; ; <-time.After(50 * time.Millisecond) { // Redis is asked again within its second of rest
		left, err := ledger.Take(t.Context(), "x", slow, 0)
		if err == nil && left.Remaining == slow { // it came back empty, so the budget is whole again
			break
		}
		if time.Since(back) > soon {
			t.Fatalf("Redis is back and is not asked: %+v, %v", left, err)
		}
	}
}

// Redis hangs: answers come within the timeout, and after three of them at once.
func TestRedisHangs(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	server := testserver.StartRedis(t)
	ledger := shared(t, connect(t, server.URL(), timeout), timeout)
	if _, err := ledger.Take(t.Context(), "x", slow, 1); err != nil {
		t.Fatal(err)
	}
	server.Hang(t)
	started := time.Now()
	taken, slowest := spend(t, ledger, 50)
	if taken > slow+1 {
		t.Errorf("without an answer %d of %d points were taken", taken, slow)
	}
	if slowest > 10*timeout || time.Since(started) > 25*timeout { // of 50 that all wait
		t.Errorf("50 answers took %s, the slowest %s", time.Since(started), slowest)
	}
	server.Resume(t)
}
