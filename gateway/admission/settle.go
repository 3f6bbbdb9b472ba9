package admission

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// CostHeader requests extensions.cost, with "1". Callers with an API key always receive it.
const CostHeader = "Sluice-Cost"

// Run executes an admitted query or mutation. An operation whose deadline passed before anything ran is refunded and
// refused.
func (o *Operation) Run(ctx context.Context) {
	respond, ctx := o.executor.DispatchOperation(ctx, o.Context)
	if o.Response = respond(ctx); o.Response == nil {
		o.Refund(ctx)
		if o.Refusal = context.Cause(ctx); o.Refusal == nil {
			o.Refusal = errs.New(errs.Internal, errs.ReasonInternal, "something went wrong on our side")
		}
		return
	}
	o.Ran = true
	if o.charge != nil {
		o.Budget = o.charge.Budget
	}
}

// Refund refunds all points of an operation that did not run.
func (o *Operation) Refund(ctx context.Context) {
	if o.charge != nil {
		o.charge.Settle(ctx, o.controller.budgets, 0)
		o.Budget = o.charge.Budget
	}
}

// Settle refunds the unused points of the operation in ctx. A subscription pays its price at the start.
func (c *Controller) Settle(ctx context.Context, points int) {
	request := graphql.GetOperationContext(ctx)
	if charge := pipeline.ChargeOf(request); charge != nil && request.Operation.Operation != ast.Subscription {
		charge.Settle(ctx, c.budgets, max(points, 1))
	}
}

// Left returns the caller's budget; its limit is 0 if unknown.
func (c *Controller) Left(ctx context.Context) bff.Budget {
	left, err := c.budgets.Charge(ctx, "", 0)
	if err != nil {
		return bff.Budget{}
	}
	return left
}

// InterceptResponse implements graphql.ResponseInterceptor. It adds extensions.cost and records the usage of the
// caller.
func (c *Controller) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	response := next(ctx)
	if response == nil {
		return nil
	}
	request := graphql.GetOperationContext(ctx)
	if request.Operation != nil && request.Operation.Operation != ast.Subscription {
		shown := CostOf(ctx, request.Headers, pipeline.ChargeOf(request))
		if response.Extensions == nil {
			response.Extensions = shown
		} else {
			maps.Copy(response.Extensions, shown)
		}
	}
	c.note(ctx, request, response)
	return response
}

// ShowsCost reports whether the caller receives extensions.cost.
func ShowsCost(by caller.Caller, headers http.Header) bool {
	return by.APIKeyID != "" || headers.Get(CostHeader) == "1"
}

// CostOf returns extensions.cost of a charge for a caller that receives it, else nil.
func CostOf(ctx context.Context, headers http.Header, charge *bff.Charge) map[string]any {
	if charge == nil || !ShowsCost(caller.FromContext(ctx), headers) {
		return nil
	}
	return map[string]any{"cost": map[string]any{
		"requested":        charge.Requested,
		"actual":           charge.Actual,
		"limit":            charge.Budget.Limit,
		"remaining":        charge.Budget.Remaining,
		"restorePerSecond": charge.Budget.RestorePerSecond,
	}}
}

// Report sets RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10), and the Retry-After of a
// refusal. t is the time until there are enough points for the refused operation, else until the budget is full.
func Report(h http.Header, left bff.Budget, refusal error) {
	var after time.Duration
	if refusal != nil {
		after = errs.From(refusal).RetryAfter
		ReportRetry(h, after)
	}
	if left.Limit == 0 {
		return
	}
	if after <= 0 {
		after = time.Duration(float64(left.Limit-left.Remaining) / left.RestorePerSecond * float64(time.Second))
	}
	policy, rest := RateLimit(left, after)
	h["Ratelimit-Policy"], h["Ratelimit"] = []string{policy}, []string{rest}
}

// RateLimit returns the values of RateLimit-Policy and RateLimit. In http.Header, only the first letter of each word
// of a name is a capital.
func RateLimit(left bff.Budget, wait time.Duration) (policy, rest string) {
	text := append(make([]byte, 0, 80), `"points";q=`...)
	text = strconv.AppendInt(text, int64(left.Limit), 10)
	text = append(text, `;qu="points";w=60`...)
	end := len(text)
	text = append(text, `"points";r=`...)
	text = strconv.AppendInt(text, int64(left.Remaining), 10)
	text = append(text, ";t="...)
	text = strconv.AppendInt(text, int64(Seconds(wait)), 10)
	all := string(text)
	return all[:end], all[end:]
}

// ReportRetry sets Retry-After (RFC 9110, section 10.2.3) for a positive time.
func ReportRetry(h http.Header, after time.Duration) {
	if after > 0 {
		h.Set("Retry-After", strconv.Itoa(Seconds(after)))
	}
}

// Seconds rounds up.
func Seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
