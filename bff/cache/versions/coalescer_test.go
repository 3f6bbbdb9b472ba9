package cache

import (
	"strings"
	"sync"
	"testing"

	"github.com/sluicehq/sluice/internal/testserver"
)

// looks begins many looks while Redis hangs, and gives what waits for all of them.
func looks(t *testing.T, g *gateway, n int) (wait func() []error) {
	t.Helper()
	s := g.versions.(*shared)
	failures := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			found, _, err := s.look([]string{everything, "device"}, nil)
			if failures[i] = err; err == nil && (!found[0].settled() || !found[1].settled()) {
				t.Errorf("look %d found %v", i, found)
			}
		})
	}
	eventually(t, "all to wait", func() bool {
		s.line.mu.Lock()
		defer s.line.mu.Unlock()
		return s.line.asking && len(s.line.waiting) == n-1
	})
	return func() []error { all.Wait(); return failures }
}

// What is asked while Redis has enough to answer is one question when it has answered.
func TestLooksGoTogether(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	g := openGateway(t, newService(), server, nil)
	_, _, _ = g.versions.look([]string{"device"}, nil) // which draws a version
	client := inspect(t, server)
	if err := client.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	server.Hang(t)
	wait := looks(t, g, 50)
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

// Who waits behind a question that fails does not begin to wait anew.
func TestLooksFailTogether(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	g := openGateway(t, newService(), server, func(o *Options) { o.Redis = connect(t, server.URL(), writeTime) })
	server.Hang(t)
	defer server.Resume(t)
	for _, err := range looks(t, g, 50)() {
		if err == nil {
			t.Error("a look has found something")
		}
	}
	if line := &g.versions.(*shared).line; line.asking || len(line.waiting) != 0 {
		t.Errorf("somebody asks (%v), and %d wait", line.asking, len(line.waiting))
	}
	if state := g.versions.(*shared).client.State(); state != "open" {
		t.Errorf("after many questions had failed the breaker is %s", state)
	}
}

// What one caller alone may see is told to all gateways when it is asked for again.
func TestWhatIsPrivateIsSharedWhenItIsAskedForAgain(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	s := newService("a")
	one, other := openGateway(t, s, server, nil), openGateway(t, s, server, nil)
	key := operator()
	key.APIKeyID = "apikey_1"
	ctx := as(t, key)
	names(t, ctx, one, "a", "x")
	names(t, ctx, other, "a", "x")
	s.check(t, "by way of each gateway", "get a x", "get a x")
	if keys, err := inspect(t, server).Keys(ctx, prefix+"value:*").Result(); err != nil || len(keys) > 0 {
		t.Errorf("Redis has %q, %v", keys, err)
	}
	names(t, ctx, one, "a", "x")
	s.check(t, "again")
	other.memory.InvalidateAll()
	eventually(t, "the other gateway to find it", func() bool {
		got := names(t, ctx, other, "a", "x")
		other.memory.InvalidateAll()
		return got == "as made,-" && len(s.calls()) == 0
	})
}

// A shelf has an entry for each id, and begins anew when it is full.
func TestShelf(t *testing.T) {
	t.Parallel()
	s := &shelf{}
	first := &entry{size: 10}
	s.add([]item{{"b", first}, {"d", first}, {"d", first}})
	second := &entry{size: 20}
	s.add([]item{{"c", second}, {"a", second}, {"b", second}})
	found := make([]*entry, 5)
	s.find([]string{"a", "b", "c", "d", "e"}, found)
	for i, want := range []*entry{second, second, second, first, nil} {
		if found[i] != want {
			t.Errorf("entry %d is %v", i, found[i])
		}
	}
	if want := uint32(4 + 3*20 + 10 + 4*overhead); s.weight() != want {
		t.Errorf("it weighs %d, want %d", s.weight(), want)
	}
	many := make([]item, roomOnAShelf)
	for i := range many {
		many[i] = item{strings.Repeat("x", i), first}
	}
	s.add(many)
	if len(s.items) != roomOnAShelf {
		t.Errorf("it has %d entries", len(s.items))
	}
}
