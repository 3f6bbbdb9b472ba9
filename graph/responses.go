package graph

import (
	"context"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
)

// CacheHeader asks for extensions.cache, with "1": how the reads of an operation were come by. Staff
// only.
const CacheHeader = "Sluice-Cache"

// Freshness is how old an answer may be.
type Freshness struct {
	Left    time.Duration // 0 for an answer that must not be kept
	Private bool
}

// freshnessKey is where gqlgen keeps the freshness of an answer.
const freshnessKey = "freshness"

// FreshnessOf tells how long the operation's answer, which has no errors, may be kept by who asked.
func FreshnessOf(request *graphql.OperationContext) Freshness {
	f, _ := request.Stats.GetExtension(freshnessKey).(Freshness)
	return f
}

// answered runs the operation, or gives an answer to it that is kept. Only answers to documents that
// are known by name are kept: there are few of those, and they come again.
func (o *operation) answered(ctx context.Context, request *graphql.OperationContext, next graphql.OperationHandler) graphql.ResponseHandler {
	if request.Operation.Operation != ast.Query {
		return next(ctx)
	}
	prepared := preparedOf(request)
	keeping := prepared.Keeping
	request.Stats.SetExtension(freshnessKey, Freshness{keeping.MaxAge, keeping.Private})
	var keep func(context.Context, *bff.Reads, bff.KeptResponse)
	if o.responses != nil && keeping.MaxAge > 0 && DocumentOf(request).ID != "" {
		var found *bff.KeptResponse
		found, keep = o.responses.Find(ctx, bff.ResponseKey{
			Document: prepared.of.hash, Operation: request.OperationName, Variables: request.Variables, Private: keeping.Private,
		})
		if found != nil {
			request.Stats.SetExtension(freshnessKey, Freshness{found.Life, keeping.Private})
			return o.again(found)
		}
	}
	told := tellsReads(ctx, request)
	if keep == nil && !told {
		return next(ctx)
	}
	reads := &bff.Reads{}
	respond := next(bff.WithReads(ctx, reads))
	return func(ctx context.Context) *graphql.Response {
		response := respond(ctx)
		if response == nil {
			return nil
		}
		if keep != nil && len(response.Errors) == 0 && response.HasNext == nil {
			keep(ctx, reads, bff.KeptResponse{Data: response.Data, Points: actual(request), Life: keeping.MaxAge})
		}
		if told {
			showReads(response, reads)
		}
		return response
	}
}

// again answers with what is kept, at the price that it had.
func (o *operation) again(found *bff.KeptResponse) graphql.ResponseHandler {
	given := false
	return func(ctx context.Context) *graphql.Response {
		if given || ctx.Err() != nil {
			return nil
		}
		given = true
		return o.InterceptResponse(ctx, func(ctx context.Context) *graphql.Response {
			request := graphql.GetOperationContext(ctx)
			if charge := ChargeOf(request); charge != nil && o.budgets != nil {
				charge.settle(ctx, o.budgets, found.Points)
			}
			response := &graphql.Response{Data: found.Data}
			if tellsReads(ctx, request) {
				response.Extensions = map[string]any{"cache": map[string]any{"whole": true, "expiresInMs": found.Life.Milliseconds()}}
			}
			return response
		})
	}
}

func actual(request *graphql.OperationContext) int {
	if charge := ChargeOf(request); charge != nil {
		return charge.Actual
	}
	return 0
}

func tellsReads(ctx context.Context, request *graphql.OperationContext) bool {
	return request.Headers.Get(CacheHeader) == "1" && caller.FromContext(ctx).Staff()
}

func showReads(response *graphql.Response, reads *bff.Reads) {
	if response.Extensions == nil {
		response.Extensions = map[string]any{}
	}
	response.Extensions["cache"] = map[string]any{"whole": false, "reads": reads.Methods()}
}
