package live_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/sluicehq/sluice/gateway/live"
)

// family is a metric with all its labels; nil when there is none.
func (g *gateway) family(t testing.TB, name string) *dto.MetricFamily {
	t.Helper()
	families, err := g.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "sluice_live_"+name {
			return f
		}
	}
	return nil
}

// What one subscriber over each transport, one event, one replay and one end leave behind.
func TestMetricsCountConnectionsEventsAndReplays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t)
	bearer := "Bearer " + w.token(t, "alice")
	p, l := g.connect(t, "alice"), g.listen(t, g.get(added), "Authorization", bearer)
	p.subscribe("a", added, "")
	p.barrier()
	g.eventually(t, "subscriptions", 2)
	w.publish(t, note("one"))
	cursor := p.next("a").Extensions.Cursor
	l.next()
	w.publish(t, note("two"))
	p.next("a")
	l.next()
	p.subscribe("b", added, `{"after":"`+cursor+`"}`)
	p.next("b")
	g.eventually(t, "catching_up_subscriptions", 0)
	g.eventually(t, "messages_total", 5)
	for name, want := range map[string]float64{
		"connections": 2, "subscriptions": 3, "groups": 1, "queued_bytes": 0, "catching_up_subscriptions": 0,
		"connections_opened_total": 2, "connections_closed_total": 0, "subscriptions_started_total": 3, "subscriptions_ended_total": 0,
		"events_total": 2, "replays_total": 1, "slow_consumers_total": 0, "gaps_total": 0,
	} {
		if got := g.metric(t, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if n := g.metric(t, "executions_total"); n < 2 || n > 3 { // the replay may run the operation again
		t.Errorf("%v executions", n)
	}
	h := g.family(t, "delivery_seconds").GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 4 || h.GetSampleSum() <= 0 || h.GetSampleSum() > soon.Seconds() {
		t.Errorf("the latencies are %v", h)
	}
	if last := h.GetBucket()[len(h.GetBucket())-1]; last.GetCumulativeCount() != 4 || last.GetUpperBound() != 10 {
		t.Errorf("the last bucket is %v", last)
	}
	_ = p.Close()
	l.cancel()
	for _, gauge := range []string{"connections", "subscriptions", "groups", "queued_bytes", "catching_up_subscriptions"} {
		g.eventually(t, gauge, 0)
	}
	if begun, ended := g.metric(t, "subscriptions_started_total"), g.metric(t, "subscriptions_ended_total"); begun != ended {
		t.Errorf("%v begun, %v ended", begun, ended)
	}
	if opened, closed := g.metric(t, "connections_opened_total"), g.metric(t, "connections_closed_total"); opened != closed {
		t.Errorf("%v opened, %v closed", opened, closed)
	}
}

// What waits for slow readers is counted, and no longer once they are gone, however they go.
func TestQueuedBytesMetricCountsSlowConsumers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(t, func(s *live.Settings) { s.WriteTimeout = soon })
	bearer := "Bearer " + w.token(t, "alice")
	p, l := g.connect(t, "alice"), g.listen(t, g.get(added), "Authorization", bearer)
	small(t, p)
	p.subscribe("a", added, "")
	p.barrier()
	g.eventually(t, "subscriptions", 2)
	deadline := time.Now().Add(soon)
	for i := 0; g.metric(t, "queued_bytes") < 64<<10; i++ {
		if time.Now().After(deadline) {
			t.Fatal("nobody was slow: the test proves nothing")
		}
		w.publish(t, note(fmt.Sprint(i, strings.Repeat("x", 16<<10))))
	}
	if n := g.metric(t, "queued_bytes"); n > 4*float64(settings().QueueBytes) {
		t.Errorf("%v bytes are queued", n)
	}
	_ = p.Close()
	l.cancel()
	g.eventually(t, "queued_bytes", 0)
	g.eventually(t, "catching_up_subscriptions", 0)
}

// A reader that was slow once, and is not any more, stays connected however long nothing happens.
func TestSlowConsumerThatCaughtUpStaysConnected(t *testing.T) {
	t.Parallel()
	const patience = 5 * time.Second
	w := newWorld(t)
	g := w.gateway(t, func(s *live.Settings) { s.QueueBytes, s.WriteTimeout, s.HistoryBytes = 8<<10, patience, 8<<20 })
	p := g.connect(t, "alice")
	small(t, p)
	p.subscribe("a", added, "")
	p.barrier()
	published := 0
	for ; g.metric(t, "slow_consumers_total") == 0; published++ {
		w.publish(t, note(fmt.Sprint(published, strings.Repeat("x", 16<<10))))
	}
	p.titles("a", published)
	g.eventually(t, "catching_up_subscriptions", 0)
	<-time.After(patience + patience/2) // the last write had its time-out, which has passed
	w.publish(t, note("after"))
	if e := p.next("a"); e.title() != "after" {
		t.Errorf("got %.20q", e.title())
	}
}
