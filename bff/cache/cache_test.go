package cache

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/cache/policy"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/testserver"
)

func TestCacheSecondReadIsServedFromTheCache(t *testing.T) {
	t.Parallel()
	eachTier(t, func(t *testing.T, server *testserver.Redis) {
		s := newService("a", "b", "c")
		g := openGateway(t, s, server, nil)
		ctx := as(t, operator())
		if got := names(t, ctx, g, "a", "x"); got != "initial,-" {
			t.Errorf("got %s", got)
		}
		s.check(t, "the first time", "get a x")
		for range 2 {
			if got := names(t, ctx, g, "c", "a", "b", "x"); got != "initial,initial,initial,-" {
				t.Errorf("got %s", got)
			}
		}
		s.check(t, "only what is missing", "get c b")
		g.clock.Advance(policy.AbsentTTL + time.Millisecond)
		names(t, ctx, g, "a", "b", "c", "x")
		s.check(t, "after the TTL", "get a b c x")
	})
}

func TestCacheWriteInvalidatesTheEntityAndLists(t *testing.T) {
	t.Parallel()
	eachTier(t, func(t *testing.T, server *testserver.Redis) {
		s := newService("a", "b")
		g := openGateway(t, s, server, nil)
		ctx := as(t, operator())
		list := func() int {
			page, err := g.ListDevices(ctx, nil, "NAME", bff.PageRequest{First: 5})
			if err != nil {
				t.Fatal(err)
			}
			return len(page.Items)
		}
		names(t, ctx, g, "a", "b", "new")
		list()
		s.calls()
		rename(t, ctx, g, "a", "renamed")
		if got := names(t, ctx, g, "a", "b"); got != "renamed,initial" {
			t.Errorf("got %s", got)
		}
		list()
		list()
		s.check(t, "after a write", "update a", "get a", "list 5")
		if _, err := g.RegisterDevice(ctx, bff.RegisterDeviceInput{Name: "new", Kind: "VEHICLE"}); err != nil {
			t.Fatal(err)
		}
		if got := names(t, ctx, g, "a", "new"); got != "renamed,new" || list() != 3 {
			t.Errorf("got %s", got)
		}
		s.check(t, "after a registration", "register new", "get new", "list 5")
	})
}

// A slow read can neither restore a value from before a write, nor store a value while a write is in progress.
func TestCacheSlowReadAcrossAWriteIsNotStored(t *testing.T) {
	t.Parallel()
	eachTier(t, func(t *testing.T, server *testserver.Redis) {
		s := newService("a")
		g := openGateway(t, s, server, nil)
		ctx := as(t, operator())
		read, proceed := make(chan struct{}), make(chan struct{})
		s.between = func(call string) {
			if call == "get a" {
				read <- struct{}{}
				<-proceed
			}
		}
		slow := make(chan string)
		go func() { slow <- names(t, ctx, g, "a") }()
		<-read // it has read the old name
		rename(t, ctx, g, "a", "new")
		fresh := make(chan string)
		go func() { fresh <- names(t, ctx, g, "a") }()
		<-read // it did not join the flight from before the write
		close(proceed)
		if old, got := <-slow, <-fresh; old != "initial" || got != "new" {
			t.Errorf("the read before the write returns %s, the one after it %s", old, got)
		}
		s.between = nil
		if got := names(t, ctx, g, "a"); got != "new" {
			t.Errorf("the entry is %s", got)
		}
	})
}

func TestCacheReadDuringAWriteIsNotStored(t *testing.T) {
	t.Parallel()
	eachTier(t, func(t *testing.T, server *testserver.Redis) {
		s := newService("a", "b")
		g := openGateway(t, s, server, nil)
		ctx := as(t, operator())
		names(t, ctx, g, "a", "b")
		s.calls()
		done := make(chan struct{})
		s.before = func(call string) {
			if call != "update a" {
				return
			}
			defer close(done)
			for range 2 {
				if got := names(t, ctx, g, "a", "b"); got != "initial,initial" {
					t.Errorf("got %s", got)
				}
			}
		}
		rename(t, ctx, g, "a", "new")
		<-done
		s.check(t, "during the write", "get a", "get a", "update a")
		if got := names(t, ctx, g, "a"); got != "new" {
			t.Errorf("got %s", got)
		}
	})
}

func TestCacheEqualConcurrentReadsAreOneCall(t *testing.T) {
	t.Parallel()
	eachTier(t, func(t *testing.T, server *testserver.Redis) {
		s := newService("a", "b")
		g := openGateway(t, s, server, nil)
		called, proceed := make(chan struct{}), make(chan struct{})
		s.before = func(string) {
			called <- struct{}{}
			<-proceed
		}
		first, cancel := context.WithCancel(as(t, operator()))
		cancelled := make(chan string)
		go func() { cancelled <- names(t, first, g, "a") }()
		<-called
		const others = 10
		reads := &bff.Reads{}
		answers := make(chan string, others)
		for range others {
			go func() { answers <- names(t, bff.WithReads(as(t, operator()), reads), g, "a") }()
		}
		eventually(t, "all reads to join", func() bool { return reads.Methods()["Devices.GetDevices"].Coalesced == others })
		cancel() // the other reads continue
		if got := <-cancelled; got != "CANCELLED" {
			t.Errorf("the cancelled read returns %s", got)
		}
		close(proceed)
		for range others {
			if got := <-answers; got != "initial" {
				t.Errorf("got %s", got)
			}
		}
		s.check(t, "together", "get a")
	})
}

func TestCacheCallersWithOtherRightsShareNoEntries(t *testing.T) {
	t.Parallel()
	eachTier(t, func(t *testing.T, server *testserver.Redis) {
		s := newService("a", "b")
		s.devices["b"] = bff.Device{ID: "b", Kind: "CAMERA"}
		g := openGateway(t, s, server, nil)
		limited := operator()
		limited.Scopes = []string{caller.TripRead}
		for _, c := range []struct {
			who  caller.Caller
			want int
			call bool
		}{
			{operator(), 2, true},
			{caller.Caller{AccountID: "account_2", Role: caller.Admin, Scopes: caller.ScopesOf(caller.Admin)}, 2, false},
			{member("account_3"), 1, true},
			{member("account_4"), 1, false},
			{limited, 2, true},         // the service refuses, not the cache
			{caller.Caller{}, 1, true}, // likewise
		} {
			page, err := g.ListDevices(as(t, c.who), nil, "NAME", bff.PageRequest{})
			if called := len(s.calls()) > 0; err != nil || len(page.Items) != c.want || called != c.call {
				t.Errorf("%+v sees %d devices, %v; the service was called: %v", c.who, len(page.Items), err, called)
			}
		}
	})
}

func TestCacheErrorsAndPanicsAreNotStored(t *testing.T) {
	t.Parallel()
	eachTier(t, func(t *testing.T, server *testserver.Redis) {
		s := newService("a")
		g := openGateway(t, s, server, nil)
		s.fail = errors.New("no")
		if got := names(t, as(t, operator()), g, "a"); got != "INTERNAL" {
			t.Errorf("got %s", got)
		}
		s.fail = nil
		if got := names(t, as(t, operator()), g, "a"); got != "initial" {
			t.Errorf("got %s", got)
		}
		s.before = func(string) { panic("sesame") }
		if _, err := g.GetDevices(as(t, operator()), []string{"b"}); err == nil || !strings.Contains(err.Error(), "sesame") {
			t.Errorf("a panic gave %v", err)
		}
	})
}

func TestCacheEntryOfOneGatewayIsServedByAnother(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	s := newService("a", "b")
	one, other := openGateway(t, s, server, nil), openGateway(t, s, server, nil)
	ctx := as(t, operator())
	names(t, ctx, one, "a", "x")
	s.calls()
	eventually(t, "a hit at the other gateway", func() bool {
		got := names(t, ctx, other, "a", "x")
		return got == "initial,-" && len(s.calls()) == 0
	})
	rename(t, ctx, other, "a", "new")
	if got := names(t, ctx, one, "a"); got != "new" {
		t.Errorf("after a write through the other gateway: %s", got)
	}
	rename(t, ctx, one, "a", "newer")
	if got := names(t, ctx, other, "a"); got != "newer" {
		t.Errorf("after a write through the first gateway: %s", got)
	}
}

// A corrupt value in Redis counts as missing.
func TestCacheCorruptValueInRedisIsAMiss(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	s := newService("a")
	one, other := openGateway(t, s, server, nil), openGateway(t, s, server, nil)
	ctx := as(t, operator())
	names(t, ctx, one, "a")
	client := inspect(t, server)
	var key string
	eventually(t, "the value", func() bool {
		keys, err := client.Keys(ctx, prefix+"value:*").Result()
		if len(keys) == 1 {
			key = keys[0]
		}
		return err == nil && key != ""
	})
	value, err := client.Get(ctx, key).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s.calls()
	value[len(value)-3] ^= 1
	if err := client.Set(ctx, key, value, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, ctx, other, "a"); got != "initial" {
		t.Errorf("got %s", got)
	}
	s.check(t, "a corrupt value", "get a")
	if n := counter(t, other.metrics.rejected.WithLabelValues(reasonCorrupt)); n != 1 {
		t.Errorf("%v corrupt values were counted", n)
	}
}

func TestCacheTooLargeValueIsNotStored(t *testing.T) {
	t.Parallel()
	eachTier(t, func(t *testing.T, server *testserver.Redis) {
		s := newService("a")
		s.change("a", strings.Repeat("long ", 3000))
		g := openGateway(t, s, server, nil)
		ctx := as(t, operator())
		names(t, ctx, g, "a")
		names(t, ctx, g, "a")
		s.check(t, "each time", "get a", "get a")
		if n := counter(t, g.metrics.rejected.WithLabelValues(reasonTooLarge)); n != 2 {
			t.Errorf("%v large values were counted", n)
		}
	})
}

func TestReadsNoteOutcomesAndKinds(t *testing.T) {
	t.Parallel()
	s := newService("a", "b")
	g := openGateway(t, s, nil, nil)
	ctx := as(t, operator())
	names(t, ctx, g, "a", "b")
	rename(t, ctx, g, "b", "new")
	reads := &bff.Reads{}
	names(t, bff.WithReads(ctx, reads), g, "a", "b", "c")
	if got, want := reads.Methods()["Devices.GetDevices"], (bff.CacheUse{Memory: 1, Stale: 1, Missed: 1, TTL: 5 * time.Second}); got != want {
		t.Errorf("noted %+v, want %+v", got, want)
	}
	if of, known := reads.Entities(); len(of) != 1 || of[0] != entity.Device || !known {
		t.Errorf("noted %v, %v", of, known)
	}
}

// A private entry is written to Redis when it is read a second time.
func TestCachePrivateEntryIsSharedAtItsSecondRead(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	s := newService("a")
	one, other := openGateway(t, s, server, nil), openGateway(t, s, server, nil)
	key := operator()
	key.APIKeyID = "apikey_1"
	ctx := as(t, key)
	names(t, ctx, one, "a", "x")
	names(t, ctx, other, "a", "x")
	s.check(t, "through each gateway", "get a x", "get a x")
	if keys, err := inspect(t, server).Keys(ctx, prefix+"value:*").Result(); err != nil || len(keys) > 0 {
		t.Errorf("Redis has %q, %v", keys, err)
	}
	names(t, ctx, one, "a", "x")
	s.check(t, "at the second read")
	other.memory.InvalidateAll()
	eventually(t, "a hit at the other gateway", func() bool {
		got := names(t, ctx, other, "a", "x")
		other.memory.InvalidateAll()
		return got == "initial,-" && len(s.calls()) == 0
	})
}
