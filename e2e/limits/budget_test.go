package limits

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
	"github.com/sluicehq/sluice/internal/testserver"
)

// Two gateways with one Redis give a caller one budget; when Redis is killed each counts by itself,
// and neither stops counting or answering.
func TestGatewaysShareBudgets(t *testing.T) {
	t.Parallel()
	redis := testserver.StartRedis(t)
	const budget = 30 // a minute: one point comes back in two seconds
	gateway := func() *harness.Program {
		return harness.Start(t, "serve", "--addr", "127.0.0.1:0", "--data", t.TempDir(),
			"--redis-url", redis.URL(), "--redis-timeout", "2s", "--quota-anonymous-points", "30")
	}
	one, other := gateway(), gateway()
	const late = 10 // points that may come back while a slow machine runs this
	first := harness.SpendPoints(t, one, "{ __typename }", 20)
	second := harness.SpendPoints(t, other, "{ __typename }", 40)
	if first != 20 || second < budget-20 || second > budget-20+late {
		t.Errorf("of %d points one gateway gave %d and the other %d", budget, first, second)
	}
	redis.Kill(t)
	for name, p := range map[string]*harness.Program{"one": one, "other": other} {
		// Another document: one that was refused is refused until the time that was told.
		if alone := harness.SpendPoints(t, p, "{ again: __typename }", 60); alone < budget || alone > budget+late {
			t.Errorf("without Redis gateway %s gave %d of %d points", name, alone, budget)
		}
	}
}

// Whoever does not listen is refused at the door, in the form of all refusals, and told of to operators;
// nobody else notices, and what was told holds.
func TestAnonymousFloodIsRefusedBeforeParsing(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, "serve", "--demo", "--addr", "127.0.0.1:0", "--data", t.TempDir(), "--quota-anonymous-points", "60")
	alice, operator := p.SignIn(t, "alice"), p.SignIn(t, "operator") // for 20 points
	const flood = 3000
	var shut, refused int
	var last harness.GraphQLError
	for range flood {
		a := p.Execute(t, "", "{ __typename }", nil)
		if a.Status == http.StatusOK {
			continue
		}
		if last = harness.RequireError(t, a, "RESOURCE_EXHAUSTED", "BUDGET_EXHAUSTED"); a.Status != http.StatusTooManyRequests || !last.Extensions.Retryable {
			t.Fatalf("answered %d %+v", a.Status, a)
		}
		if refused++; strings.Contains(last.Message, "keep retrying") {
			shut++
		}
		if refused%500 == 0 && p.Execute(t, alice, "{ viewer { scopes } }", nil).Errors != nil {
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
	if a := p.Execute(t, "", "{ __typename }", nil); a.Status != http.StatusOK {
		t.Errorf("when it was told to, it is answered %d %+v", a.Status, a)
	}
}
