package graph_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/pipeline"
)

// gated are devices whose lists wait to be let go on. It counts them: each is an execution.
type gated struct {
	bff.Devices
	asked, goOn chan struct{}
}

func (g gated) ListDevices(ctx context.Context, filter *bff.DeviceFilter, order bff.DeviceOrder, page bff.PageRequest) (bff.Page[bff.Device], error) {
	g.asked <- struct{}{}
	select {
	case <-g.goOn:
	case <-ctx.Done():
		return bff.Page[bff.Device]{}, ctx.Err()
	}
	return g.Devices.ListDevices(ctx, filter, order, page)
}

// looked counts who has begun to look for an answer.
type looked struct {
	bff.Responses
	n *atomic.Int64
}

func (l looked) Lookup(ctx context.Context, key bff.ResponseKey) (*bff.CachedResponse, bff.ResponseFlight) {
	l.n.Add(1)
	return l.Responses.Lookup(ctx, key)
}

// together is a gateway whose executions wait.
type together struct {
	*asks
	gate   gated
	looked *atomic.Int64
	all    sync.WaitGroup
}

func openTogether(t *testing.T) (*together, []who) {
	t.Helper()
	h, callers := demo(t)
	ports, responses, _ := h.cached(t, h.ports())
	x := &together{looked: &atomic.Int64{}, gate: gated{ports.Devices, make(chan struct{}, 100), make(chan struct{})}}
	ports.Devices = x.gate
	x.asks = &asks{h, h.gateway(ports, pipeline.Options{
		Admission: charging(plenty{}), Logger: silent(), Persisted: documentRegistry(t), Responses: looked{responses, x.looked},
	}, 2*time.Minute)}
	return x, callers
}

// begin asks in a goroutine of its own, and goes on when the answer is looked for.
func (x *together) begin(t *testing.T, ctx context.Context, by who, n int) (answer func() *httptest.ResponseRecorder) {
	t.Helper()
	before := x.looked.Load()
	told := make(chan *httptest.ResponseRecorder, 1)
	x.all.Go(func() {
		got, _ := x.askIn(t, ctx, by, trucks, map[string]any{"n": n}, true)
		told <- got
	})
	for deadline := time.Now().Add(time.Minute); x.looked.Load() == before; <-time.After(time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			t.Fatal("nothing was looked for")
		}
	}
	return func() *httptest.ResponseRecorder { return <-told }
}

// Equal requests at the same moment are executed once; others are not held up by them.
func TestEqualRequestsAreOneExecution(t *testing.T) {
	t.Parallel()
	x, callers := openTogether(t)
	defer x.all.Wait()
	first := x.begin(t, t.Context(), callers[1], 2)
	<-x.gate.asked // it is under way
	var equal []func() *httptest.ResponseRecorder
	for range 20 {
		equal = append(equal, x.begin(t, t.Context(), callers[1], 2))
	}
	other, more := x.begin(t, t.Context(), callers[0], 2), x.begin(t, t.Context(), callers[1], 3)
	<-x.gate.asked // somebody else
	<-x.gate.asked // with other variables
	close(x.gate.goOn)
	want := data(t, first())
	for i, answer := range equal {
		if got := data(t, answer()); got != want {
			t.Errorf("request %d is answered %.300s, want %.300s", i, got, want)
		}
	}
	data(t, other())
	data(t, more())
	if n := len(x.gate.asked); n != 0 {
		t.Errorf("%d more were executed", n)
	}
}

// Who asked first goes away: one of the others goes on in its place.
func TestLeaderThatDisconnectsFailsNoFollower(t *testing.T) {
	t.Parallel()
	x, callers := openTogether(t)
	defer x.all.Wait()
	ctx, leave := context.WithCancel(t.Context())
	first := x.begin(t, ctx, callers[1], 2)
	<-x.gate.asked
	var equal []func() *httptest.ResponseRecorder
	for range 20 {
		equal = append(equal, x.begin(t, t.Context(), callers[1], 2))
	}
	leave()
	first()
	<-x.gate.asked
	close(x.gate.goOn)
	for _, answer := range equal {
		data(t, answer())
	}
	if n := len(x.gate.asked); n != 0 {
		t.Errorf("%d more were executed", n)
	}
}

// A write while an answer is being made: who asks after it does not get that answer.
func TestWhoAsksAfterAWriteJoinsNoAnswerFromBefore(t *testing.T) {
	t.Parallel()
	x, callers := openTogether(t)
	defer x.all.Wait()
	first := x.begin(t, t.Context(), callers[0], 100)
	<-x.gate.asked
	x.ask(t, callers[0], `mutation { registerDevice(input: {name: "Brand new", kind: VEHICLE}) { device { id } } }`, nil, false)
	second := x.begin(t, t.Context(), callers[0], 100)
	<-x.gate.asked // it did not wait
	close(x.gate.goOn)
	first()
	if got := data(t, second()); !strings.Contains(got, "Brand new") {
		t.Errorf("after the write the answer is %.1000s", got)
	}
}

// data is the data of an answer without errors.
func data(t *testing.T, answer *httptest.ResponseRecorder) string {
	t.Helper()
	text := answer.Body.String()
	if answer.Code != http.StatusOK || !strings.HasPrefix(text, `{"data":{`) {
		t.Errorf("the answer is %d %.300s", answer.Code, text)
	}
	text, _, _ = strings.Cut(text, `,"extensions"`)
	return text
}
