package edge

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/errs"
)

// located notes where requests come from, so that those of nobody can be told apart.
func (o Options) located(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(quota.From(r.Context(), addressOf(r, o.TrustedProxies))))
	})
}

// addressOf is where a request comes from: its peer, or, when that is a proxy that is trusted, the
// last address in X-Forwarded-For that is none of them. Whatever stands before it may be made up.
func addressOf(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	at := peer.Addr().Unmap()
	if !isIn(at, trusted) {
		return at
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && isIn(at, trusted); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		at = hop.Unmap()
	}
	return at
}

func isIn(address netip.Addr, networks []netip.Prefix) bool {
	for _, network := range networks {
		if network.Contains(address.WithZone("")) {
			return true
		}
	}
	return false
}

// enter lets a request in, as long as its caller does not have too many in flight.
func (t transport) enter(ctx context.Context) (leave func(), err error) {
	if t.quota == nil {
		return func() {}, nil
	}
	return t.quota.Enter(ctx)
}

// unread refuses before the document is read, if it is refused in any case: whoever misbehaves, or
// comes back before there can be enough points, should cost next to nothing. Nil lets it go on.
func (t transport) unread(ctx context.Context, w http.ResponseWriter, params *graphql.RawParams) *graphql.Response {
	response := &graphql.Response{}
	var err error
	if t.overload != nil {
		err = t.overload.Admit(ctx, params.Query)
	}
	if err == nil && t.abuse != nil {
		err = t.abuse.Unread(ctx, params.Query)
	}
	if err == nil && t.quota != nil {
		var left bff.Budget
		var points int
		if left, points, err = t.quota.Early(ctx, params.Query); err != nil {
			tellBudget(w.Header(), left, err)
			response.Extensions = pipeline.CostOf(ctx, params.Headers, &bff.Charge{Requested: points, Budget: left})
		}
	}
	if err == nil {
		return nil
	}
	t.noteRefusal(ctx, err)
	tellRetry(w.Header(), errs.From(err).RetryAfter)
	response.Errors = gqlerror.List{graph.Public(ctx, err)}
	return response
}

// noteRefusal tells of a request that nothing further is told of.
func (t transport) noteRefusal(ctx context.Context, err error) {
	if t.abuse != nil {
		t.abuse.Note(ctx, bff.Outcome{Refused: errs.From(err).Reason})
	}
}

// chargeUnread is chargeUnpriced for what is no GraphQL at all.
func (t transport) chargeUnread(ctx context.Context, w http.ResponseWriter) error {
	err := t.chargeUnpriced(ctx, w)
	if t.abuse != nil && err == nil {
		t.abuse.Note(ctx, bff.Outcome{Kind: bff.KindQuery, Points: 1, Fault: bff.FaultCaller})
	}
	if err != nil {
		t.noteRefusal(ctx, err)
	}
	return err
}

// chargeUnpriced takes a point for a request that did not get as far as having a price: reading it
// was work too. The headers of a budget are set.
func (t transport) chargeUnpriced(ctx context.Context, w http.ResponseWriter) error {
	if t.quota == nil {
		return nil
	}
	left, err := t.quota.Take(ctx, "", 1)
	tellBudget(w.Header(), left, err)
	return err
}

// tellCharge sets the headers of a budget. An operation that was refused before it had a price is
// charged for being read; when that cannot be paid for either, this is the refusal.
func (t transport) tellCharge(ctx context.Context, w http.ResponseWriter, operation *graphql.OperationContext, problems gqlerror.List) gqlerror.List {
	charge := pipeline.ChargeOf(operation)
	if charge == nil && problems != nil {
		if err := t.chargeUnpriced(ctx, w); err != nil {
			return gqlerror.List{gqlerror.Wrap(err)}
		}
		return problems
	}
	if charge != nil {
		var refusal error
		if len(problems) > 0 {
			refusal = problems[0]
		}
		tellBudget(w.Header(), charge.Budget, refusal)
	}
	return problems
}

// giveBack gives back what an operation was charged that did not run.
func (t transport) giveBack(ctx context.Context, w http.ResponseWriter, operation *graphql.OperationContext) {
	if charge := pipeline.ChargeOf(operation); charge != nil && t.quota != nil {
		charge.Settle(ctx, t.quota, 0)
		tellBudget(w.Header(), charge.Budget, nil)
	}
}

// tellSpent sets the headers of a budget anew: an answer may have cost less than it was charged for.
func (t transport) tellSpent(w http.ResponseWriter, operation *graphql.OperationContext) {
	if charge := pipeline.ChargeOf(operation); charge != nil {
		tellBudget(w.Header(), charge.Budget, nil)
	}
}

// tellBudget sets RateLimit and RateLimit-Policy as draft-ietf-httpapi-ratelimit-headers-10 has them.
// t is when there will be enough for what was refused, else when the budget will be whole again.
func tellBudget(h http.Header, left bff.Budget, refusal error) {
	if left.Limit == 0 {
		return
	}
	wait := time.Duration(float64(left.Limit-left.Remaining) / left.RestorePerSecond * float64(time.Second))
	if refusal != nil {
		if after := errs.From(refusal).RetryAfter; after > 0 {
			wait = after
			tellRetry(h, after)
		}
	}
	policy, rest := rateLimit(left, wait)
	h["Ratelimit-Policy"], h["Ratelimit"] = []string{policy}, []string{rest}
}

// rateLimit is what tellBudget tells. Fields have no capital letters within them in http.Header.
func rateLimit(left bff.Budget, wait time.Duration) (policy, rest string) {
	text := append(make([]byte, 0, 80), `"points";q=`...)
	text = strconv.AppendInt(text, int64(left.Limit), 10)
	text = append(text, `;qu="points";w=60`...)
	end := len(text)
	text = append(text, `"points";r=`...)
	text = strconv.AppendInt(text, int64(left.Remaining), 10)
	text = append(text, ";t="...)
	text = strconv.AppendInt(text, int64(seconds(wait)), 10)
	all := string(text)
	return all[:end], all[end:]
}

// tellRetry sets Retry-After (RFC 9110, section 10.2.3).
func tellRetry(h http.Header, after time.Duration) {
	if after > 0 {
		h.Set("Retry-After", strconv.Itoa(seconds(after)))
	}
}

// seconds are whole seconds in which the time has passed.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
