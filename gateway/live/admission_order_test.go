package live_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// checkpoints is every part of admission. It records the checks that run, and refuses at one of them.
type checkpoints struct {
	admission.Abuse

	mu      sync.Mutex
	passed  []string
	refuses string
}

// pass records a check, and refuses when it is the chosen one.
func (c *checkpoints) pass(check string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed = append(c.passed, check)
	if c.refuses != check {
		return nil
	}
	refusal := errs.New(errs.ResourceExhausted, "CHOSEN", "refused at %s", check)
	refusal.RetryAfter = time.Second
	return refusal
}

// restart clears the record and chooses the check that refuses; "" refuses at none.
func (c *checkpoints) restart(refuses string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed, c.refuses = nil, refuses
}

func (c *checkpoints) record() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.passed)
}

func (c *checkpoints) AnyBlocked() bool { return true }
func (c *checkpoints) Blocked(caller.Caller, string) (left bff.Budget, wait time.Duration) {
	if c.pass("block list") != nil {
		return left, time.Second
	}
	return left, 0
}
func (c *checkpoints) Acquire(context.Context) (func(), error) {
	return func() {}, c.pass("requests in flight")
}
func (c *checkpoints) CheckRepeat(context.Context, string) (left bff.Budget, points int, err error) {
	return left, 0, c.pass("early budget")
}
func (c *checkpoints) Refund(context.Context, int) {}

func (c *checkpoints) Unread(context.Context, string) error { return c.pass("breaker of the caller") }
func (c *checkpoints) Admit(context.Context, bff.OperationKind) error {
	return c.pass("breaker of the kind")
}
func (c *checkpoints) CheckLoop(context.Context, []bff.Target) error {
	return c.pass("loop of mutations")
}
func (c *checkpoints) Note(context.Context, bff.Outcome)     {}
func (c *checkpoints) Refused(caller.Caller, string, string) {}
func (c *checkpoints) Verify(_ context.Context, verify func() (caller.Caller, error)) (caller.Caller, error) {
	return verify()
}

// charge is the budget of checkpoints. One point is the price of a refused document, more are the cost of the query.
type charge struct{ *checkpoints }

func (c charge) Charge(_ context.Context, _ string, points int) (left bff.Budget, err error) {
	left = bff.Budget{Limit: 100, Remaining: 50, RestorePerSecond: 1}
	if points > 1 {
		err = c.pass("cost")
	}
	return left, err
}

// shedding is the load shedding of checkpoints.
type shedding struct{ *checkpoints }

func (s shedding) Admit(context.Context, string) error { return s.pass("overload") }

// order is the order in which every transport runs the checks that checkpoints can record.
var order = []string{
	"block list", "requests in flight", "overload", "breaker of the caller", "early budget", "breaker of the kind", "loop of mutations", "cost",
}

func TestChecksOfAdmissionAreListedInTheirOrder(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, check := range admission.Checks() {
		if slices.Contains(order, check.Name) {
			listed = append(listed, check.Name)
		}
	}
	if !slices.Equal(listed, order) {
		t.Errorf("listed %q, want %q", listed, order)
	}
}

// An operation that is refused at one check has passed exactly the checks before it, over every transport.
func TestEveryTransportRunsTheChecksOfAdmissionInOneOrder(t *testing.T) {
	t.Parallel()
	w, checks := newWorld(t), &checkpoints{}
	w.budgets, w.abuse, w.overload = charge{checks}, checks, shedding{checks}
	g := w.gateway(t)
	const query = `{ devices(first: 5) { nodes { id } } }`
	token, socket, number := "Bearer "+w.token(t, "alice"), g.connect(t, "alice"), 0
	request := func(accept string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.server.URL+"/graphql", strings.NewReader(`{"query":"`+query+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", accept)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for name, execute := range map[string]func() string{
		"HTTP": func() string { return request("application/json") },
		"SSE":  func() string { return request("text/event-stream") },
		"WebSocket": func() string {
			number++
			id, _ := json.Marshal(number)
			socket.subscribe(string(id), query, "")
			m := socket.hear("")
			if m.Type == "next" {
				socket.hear("complete")
			}
			return string(m.Payload)
		},
	} {
		for i, refusing := range append([]string{""}, order...) {
			checks.restart(refusing)
			text, want := execute(), order[:max(i, 1)]
			if refusing == "" {
				want = order
			}
			if got := checks.record(); !slices.Equal(got, want) {
				t.Errorf("%s, refused at %q: ran %q, want %q", name, refusing, got, want)
			}
			reason := map[string]string{"": "nodes", "block list": "BUDGET_EXHAUSTED"}[refusing]
			if reason == "" {
				reason = "CHOSEN"
			}
			if !strings.Contains(text, reason) {
				t.Errorf("%s, refused at %q: the response is %s, want %s", name, refusing, text, reason)
			}
		}
	}
}
