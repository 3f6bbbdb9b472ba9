package live_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/types/known/timestamppb"

	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
)

func TestEventExecutesOncePerGroup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t)
	const query = `subscription { activityAdded { title device { name } } }`
	var peers []*peer
	for i := range 20 {
		p := g.connect(t, []string{"admin", "operator"}[i%2])
		p.subscribe("a", query, "")
		p.barrier()
		peers = append(peers, p)
	}
	vehicle := w.device(t, "Bike 7")
	for i := range 5 {
		a := numbered(i)
		a.DeviceId = vehicle
		w.publish(t, a)
	}
	for _, p := range peers {
		for i := range 5 {
			e := p.next("a")
			if e.title() != fmt.Sprint(i) || e.Data.ActivityAdded.Device.Name != "Bike 7" {
				t.Errorf("got %+v", e)
			}
		}
	}
	// Admins and operators have different scopes, so they are two groups.
	if n := g.metric(t, "executions_total"); n != 10 {
		t.Errorf("%v runs, want 10", n)
	}
	if n := w.loads.Load(); n != 10 {
		t.Errorf("%d calls to the device service, want 10", n)
	}
}

// New activities reach both subscriptions, corrections and deletions only the one that follows changes, also when both
// resume.
func TestCorrectionsReachTheSubscriptionOfChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t)
	const changed = `subscription { activityChanged { title withdrawnAt } }`
	follow := func(query, extensions string) *peer {
		p := g.connect(t, "admin")
		p.subscribe("a", query, extensions)
		return p
	}
	adds, changes := follow(added, ""), follow(changed, "")
	adds.barrier()
	changes.barrier()
	a := note("first")
	w.publish(t, a)
	cursor := `{"after":"` + adds.next("a").Extensions.Cursor + `"}`
	changes.next("a")
	for _, change := range []string{"changed", "withdrawn"} {
		a.Title = change
		if change == "withdrawn" {
			a.WithdrawnAt = timestamppb.Now()
		}
		m := activityMessage(t, a)
		m.Subject = "event.activity." + change + "." + a.GetId()
		if err := w.bus.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	w.publish(t, note("second"))
	for _, p := range []*peer{adds, follow(added, cursor)} {
		if got := p.next("a").title(); got != "second" {
			t.Errorf("activityAdded has %q", got)
		}
	}
	for _, p := range []*peer{changes, follow(changed, cursor)} {
		for _, want := range []string{"changed", "withdrawn", "second"} {
			if got := p.next("a").Data.ActivityChanged; got.Title != want || (got.WithdrawnAt != "") != (want == "withdrawn") {
				t.Errorf("activityChanged has %+v, want %s", got, want)
			}
		}
	}
}

func TestCallersWithDifferentVisibilityShareNoResult(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t)
	mine := func(account, title string) *activityv1.Activity {
		a := note(title)
		a.AccountId = account
		return a
	}
	alice, bob, staff := g.connect(t, "alice"), g.connect(t, "bob"), g.connect(t, "operator")
	for _, p := range []*peer{alice, bob, staff} {
		p.subscribe("a", added, "")
		p.barrier()
	}
	if n := g.metric(t, "groups"); n != 3 {
		t.Errorf("%v groups, want 3", n)
	}
	a, b := w.accountOf(t, "alice"), w.accountOf(t, "bob")
	w.publish(t, mine(a, "of alice"), mine(b, "of bob"), note("everybody's"))
	for _, c := range []struct {
		who  *peer
		want []string
	}{
		{alice, []string{"of alice", "everybody's"}},
		{bob, []string{"of bob", "everybody's"}},
		{staff, []string{"of alice", "of bob", "everybody's"}},
	} {
		if got, _ := c.who.titles("a", len(c.want)); !slices.Equal(got, c.want) {
			t.Errorf("got %v, want %v", got, c.want)
		}
	}
}

// What was published while nobody listened, while the replay goes on, and after it, comes once and in
// order, on the gateway that gave the cursor and on another.
func TestResumeDeliversEveryEventOnceInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.gateway(t), w.gateway(t)
	const before, during = 400, 300 // more than is kept in memory
	first := one.connect(t, "alice")
	first.subscribe("a", added, "")
	first.barrier()
	w.publish(t, numbered(0))
	_, cursor := first.titles("a", 1)
	for i := 1; i <= before; i++ {
		w.publish(t, numbered(i))
	}
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for i := before + 1; i <= before+during; i++ {
			w.publish(t, numbered(i))
		}
	})
	var want []string
	for i := 1; i <= before+during; i++ {
		want = append(want, fmt.Sprint(i))
	}
	var peers []*peer
	for i := range 8 {
		p := []*gateway{one, two}[i%2].connect(t, "alice")
		p.subscribe("b", added, `{"after":"`+cursor+`"}`)
		peers = append(peers, p)
	}
	for _, p := range peers {
		if got, _ := p.titles("b", len(want)); !slices.Equal(got, want) {
			t.Errorf("got %d events: %v", len(got), got)
		}
	}
	publishing.Wait()
	two.eventually(t, "catching_up_subscriptions", 0)
}

func TestResumeBeforeRetentionStartsWithGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t)
	p := g.connect(t, "alice")
	p.subscribe("a", added, "")
	p.barrier()
	w.publish(t, note("first"))
	_, cursor := p.titles("a", 1)
	for i := range 300 {
		w.publish(t, numbered(i))
	}
	p.titles("a", 300)
	purge(t, w, 250) // events 1 to 249 are gone
	again := w.gateway(t).connect(t, "alice")
	again.subscribe("b", added, `{"after":"`+cursor+`"}`)
	e := again.next("b")
	if e.Extensions.Gap == nil || e.Extensions.Gap.From != cursor || e.Extensions.Gap.To != e.Extensions.Cursor {
		t.Fatalf("got %+v, want a gap", e)
	}
	if got, _ := again.titles("b", 51); got[0] != "248" || got[50] != "298" {
		t.Errorf("after the gap came %v", got)
	}
}

func purge(t *testing.T, w *world, upTo uint64) {
	t.Helper()
	stream, err := w.bus.JetStream().Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), purgeTo(upTo)); err != nil {
		t.Fatal(err)
	}
}

func TestInvalidCursorIsRefused(t *testing.T) {
	t.Parallel()
	g := newWorld(t).gateway(t)
	p := g.connect(t, "alice")
	for _, cursor := range []string{`"x"`, `""x`, `7`, `"` + strings.Repeat("A", 31) + `"`} {
		if !strings.HasSuffix(cursor, "x") {
			p.subscribe("a", added, `{"after":`+cursor+`}`)
			if m := p.hear("error"); !strings.Contains(string(m.Payload), "CURSOR_INVALID") {
				t.Errorf("%s: %s", cursor, m.Payload)
			}
		}
	}
}

func purgeTo(sequence uint64) jetstream.StreamPurgeOpt { return jetstream.WithPurgeSequence(sequence) }

// A cursor of a stream that is no more, as of a broker that was set up anew, begins with a gap.
func TestResumeFromAnotherStreamStartsWithGap(t *testing.T) {
	t.Parallel()
	old, w := newWorld(t), newWorld(t)
	p := old.gateway(t).connect(t, "alice")
	p.subscribe("a", added, "")
	p.barrier()
	old.publish(t, note("old"))
	_, cursor := p.titles("a", 1)
	again := w.gateway(t).connect(t, "alice")
	again.subscribe("b", added, `{"after":"`+cursor+`"}`)
	if e := again.next("b"); e.Extensions.Gap == nil || e.Extensions.Gap.From != cursor {
		t.Fatalf("got %+v, want a gap", e)
	}
	w.publish(t, note("new"))
	if e := again.next("b"); e.title() != "new" {
		t.Errorf("got %+v", e)
	}
}
