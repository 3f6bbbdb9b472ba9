package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/testserver"
)

// spendPoints asks for what costs a point, up to so often, and gives how often it was answered.
func spendPoints(t *testing.T, p *program, document string, times int) (answered int) {
	t.Helper()
	for range times {
		a := p.graphql(t, "", document, nil)
		switch a.Status {
		case http.StatusOK:
			answered++
		case http.StatusTooManyRequests:
			if e := refusal(t, a, "RESOURCE_EXHAUSTED", "BUDGET_EXHAUSTED"); !e.Extensions.Retryable {
				t.Error("the refusal is not worth another try")
			}
		default:
			t.Fatalf("answered %d %+v", a.Status, a)
		}
	}
	return answered
}

// Two gateways with one Redis give a caller one budget; when Redis is killed each counts by itself,
// and neither stops counting or answering.
func TestGatewaysShareBudgets(t *testing.T) {
	t.Parallel()
	redis := testserver.StartRedis(t)
	const budget = 30 // a minute: one point comes back in two seconds
	gateway := func() *program {
		return start(t, "serve", "--addr", "127.0.0.1:0", "--data", t.TempDir(),
			"--redis-url", redis.URL(), "--redis-timeout", "2s", "--quota-anonymous-points", "30")
	}
	one, other := gateway(), gateway()
	const late = 10 // points that may come back while a slow machine runs this
	first := spendPoints(t, one, "{ __typename }", 20)
	second := spendPoints(t, other, "{ __typename }", 40)
	if first != 20 || second < budget-20 || second > budget-20+late {
		t.Errorf("of %d points one gateway gave %d and the other %d", budget, first, second)
	}
	redis.Kill(t)
	for name, p := range map[string]*program{"one": one, "other": other} {
		// Another document: one that was refused is refused until the time that was told.
		if alone := spendPoints(t, p, "{ again: __typename }", 60); alone < budget || alone > budget+late {
			t.Errorf("without Redis gateway %s gave %d of %d points", name, alone, budget)
		}
	}
}

// Whoever does not listen is refused at the door, in the form of all refusals, and told of to operators;
// nobody else notices, and what was told holds.
func TestAFlood(t *testing.T) {
	t.Parallel()
	p := start(t, "serve", "--demo", "--addr", "127.0.0.1:0", "--data", t.TempDir(), "--quota-anonymous-points", "60")
	alice, operator := p.signIn(t, "alice"), p.signIn(t, "operator") // for 20 points
	const flood = 3000
	var shut, refused int
	var last problem
	for range flood {
		a := p.graphql(t, "", "{ __typename }", nil)
		if a.Status == http.StatusOK {
			continue
		}
		if last = refusal(t, a, "RESOURCE_EXHAUSTED", "BUDGET_EXHAUSTED"); a.Status != http.StatusTooManyRequests || !last.Extensions.Retryable {
			t.Fatalf("answered %d %+v", a.Status, a)
		}
		if refused++; strings.Contains(last.Message, "keep coming back") {
			shut++
		}
		if refused%500 == 0 && p.graphql(t, alice, "{ viewer { scopes } }", nil).Errors != nil {
			t.Error("somebody else is refused")
		}
	}
	if shut < flood/2 {
		t.Errorf("of %d refusals %d were at the door", refused, shut)
	}
	for name, u := range callersNow(t, p, operator) {
		if strings.HasPrefix(name, "network:") && u.Refused != refused {
			t.Errorf("an operator is told of %d refusals, and there were %d", u.Refused, refused)
		}
	}
	time.Sleep(time.Second) // the time that a point takes, which is what it was told at most
	if a := p.graphql(t, "", "{ __typename }", nil); a.Status != http.StatusOK {
		t.Errorf("when it was told to, it is answered %d %+v", a.Status, a)
	}
}
