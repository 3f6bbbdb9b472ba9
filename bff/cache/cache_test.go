package cache

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/testserver"
)

func TestWhatIsKeptIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	eachTier(t, func(t *testing.T, server *testserver.Redis) {
		s := newService("a", "b", "c")
		g := openGateway(t, s, server, nil)
		ctx := as(t, operator())
		if got := names(t, ctx, g, "a", "x"); got != "as made,-" {
			t.Errorf("got %s", got)
		}
		s.check(t, "the first time", "get a x")
		for range 2 {
			if got := names(t, ctx, g, "c", "a", "b", "x"); got != "as made,as made,as made,-" {
				t.Errorf("got %s", got)
			}
		}
		s.check(t, "only what is missing", "get c b")
		g.clock.Advance(brief + time.Millisecond)
		names(t, ctx, g, "a", "b", "c", "x")
		s.check(t, "when it is over", "get a b c x")
	})
}

func TestAWriteEndsWhatWasKept(t *testing.T) {
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
		if got := names(t, ctx, g, "a", "b"); got != "renamed,as made" {
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
		s.check(t, "after one is made", "register new", "get new", "list 5")
	})
}

// A slow reader cannot put back what was before a write, nor keep what it reads while one is under way.
func TestASlowReaderCannotResurrectAnOldValue(t *testing.T) {
	t.Parallel()
	eachTier(t, func(t *testing.T, server *testserver.Redis) {
		s := newService("a")
		g := openGateway(t, s, server, nil)
		ctx := as(t, operator())
		read, goOn := make(chan struct{}), make(chan struct{})
		s.between = func(call string) {
			if call == "get a" {
				read <- struct{}{}
				<-goOn
			}
		}
		slow := make(chan string)
		go func() { slow <- names(t, ctx, g, "a") }()
		<-read // it has the old value
		rename(t, ctx, g, "a", "new")
		fresh := make(chan string)
		go func() { fresh <- names(t, ctx, g, "a") }()
		<-read // it did not join the one before the write
		close(goOn)
		if old, got := <-slow, <-fresh; old != "as made" || got != "new" {
			t.Errorf("who came before the write got %s, who came after it %s", old, got)
		}
		s.between = nil
		if got := names(t, ctx, g, "a"); got != "new" {
			t.Errorf("kept %s", got)
		}
	})
}

func TestNothingIsKeptWhileAWriteIsUnderWay(t *testing.T) {
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
				if got := names(t, ctx, g, "a", "b"); got != "as made,as made" {
					t.Errorf("got %s", got)
				}
			}
		}
		rename(t, ctx, g, "a", "new")
		<-done
		s.check(t, "what is being written is asked for each time", "get a", "get a", "update a")
		if got := names(t, ctx, g, "a"); got != "new" {
			t.Errorf("got %s", got)
		}
	})
}

func TestEqualReadsAreOneCall(t *testing.T) {
	t.Parallel()
	eachTier(t, func(t *testing.T, server *testserver.Redis) {
		s := newService("a", "b")
		g := openGateway(t, s, server, nil)
		asked, goOn := make(chan struct{}), make(chan struct{})
		s.before = func(string) {
			asked <- struct{}{}
			<-goOn
		}
		first, cancel := context.WithCancel(as(t, operator()))
		gone := make(chan string)
		go func() { gone <- names(t, first, g, "a") }()
		<-asked
		const others = 10
		reads := &bff.Reads{}
		answers := make(chan string, others)
		for range others {
			go func() { answers <- names(t, bff.WithReads(as(t, operator()), reads), g, "a") }()
		}
		eventually(t, "all to have joined", func() bool { return reads.Methods()["Devices.GetDevices"].Coalesced == others })
		cancel() // does not fail the others
		if got := <-gone; got != "CANCELLED" {
			t.Errorf("who went away got %s", got)
		}
		close(goOn)
		for range others {
			if got := <-answers; got != "as made" {
				t.Errorf("got %s", got)
			}
		}
		s.check(t, "together", "get a")
	})
}

func TestEveryoneSeesWhatIsTheirs(t *testing.T) {
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
			{limited, 2, true},         // the service refuses, which is not for the cache to say
			{caller.Caller{}, 1, true}, // likewise
		} {
			page, err := g.ListDevices(as(t, c.who), nil, "NAME", bff.PageRequest{})
			if asked := len(s.calls()) > 0; err != nil || len(page.Items) != c.want || asked != c.call {
				t.Errorf("%+v sees %d devices, %v; the service was asked: %v", c.who, len(page.Items), err, asked)
			}
		}
	})
}

func TestErrorsAreNotKept(t *testing.T) {
	t.Parallel()
	eachTier(t, func(t *testing.T, server *testserver.Redis) {
		s := newService("a")
		g := openGateway(t, s, server, nil)
		s.fail = errors.New("no")
		if got := names(t, as(t, operator()), g, "a"); got != "INTERNAL" {
			t.Errorf("got %s", got)
		}
		s.fail = nil
		if got := names(t, as(t, operator()), g, "a"); got != "as made" {
			t.Errorf("got %s", got)
		}
		s.before = func(string) { panic("sesame") }
		if _, err := g.GetDevices(as(t, operator()), []string{"b"}); err == nil || !strings.Contains(err.Error(), "sesame") {
			t.Errorf("a panic gave %v", err)
		}
	})
}

func TestGatewaysShareWhatTheyKeep(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	s := newService("a", "b")
	one, other := openGateway(t, s, server, nil), openGateway(t, s, server, nil)
	ctx := as(t, operator())
	names(t, ctx, one, "a", "x")
	s.calls()
	eventually(t, "the other gateway to find it", func() bool {
		got := names(t, ctx, other, "a", "x")
		return got == "as made,-" && len(s.calls()) == 0
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

// What does not read, or is of another type, is as if it were not there.
func TestWhatIsWrongInRedisIsAMiss(t *testing.T) {
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
	if got := names(t, ctx, other, "a"); got != "as made" {
		t.Errorf("got %s", got)
	}
	s.check(t, "a corrupt value", "get a")
	if n := counter(t, other.metrics.refused.WithLabelValues(corrupt)); n != 1 {
		t.Errorf("%v corrupt values were counted", n)
	}
}

func TestAValueThatIsTooLargeIsNotKept(t *testing.T) {
	t.Parallel()
	eachTier(t, func(t *testing.T, server *testserver.Redis) {
		s := newService("a")
		s.change("a", strings.Repeat("long ", 3000))
		g := openGateway(t, s, server, nil)
		ctx := as(t, operator())
		names(t, ctx, g, "a")
		names(t, ctx, g, "a")
		s.check(t, "each time", "get a", "get a")
		if n := counter(t, g.metrics.refused.WithLabelValues(tooLarge)); n != 2 {
			t.Errorf("%v large values were counted", n)
		}
	})
}

func TestReadsTellWhatTheyFound(t *testing.T) {
	t.Parallel()
	s := newService("a", "b")
	g := openGateway(t, s, nil, nil)
	ctx := as(t, operator())
	names(t, ctx, g, "a", "b")
	rename(t, ctx, g, "b", "new")
	reads := &bff.Reads{}
	names(t, bff.WithReads(ctx, reads), g, "a", "b", "c")
	if got, want := reads.Methods()["Devices.GetDevices"], (bff.CacheUse{Memory: 1, Stale: 1, Missed: 1, Life: 5 * time.Second}); got != want {
		t.Errorf("noted %+v, want %+v", got, want)
	}
	if of, known := reads.Entities(); len(of) != 1 || of[0] != bff.EntityDevice || !known {
		t.Errorf("noted %v, %v", of, known)
	}
}
