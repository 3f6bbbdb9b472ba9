package live

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	bffentity "github.com/sluicehq/sluice/bff/entity"
	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/caller"
)

// preparedOperation is an admitted operation: a subscription when its request has a selection, else a query or a mutation to
// dispatch.
type preparedOperation struct {
	executor  graphql.GraphExecutor
	operation *graphql.OperationContext
	request   request
}

// prepare parses and validates the operation, and checks that the caller of ctx may execute it.
func (h *Hub) prepare(ctx context.Context, executor graphql.GraphExecutor, params *graphql.RawParams) (p *preparedOperation, problems gqlerror.List) {
	defer func() { // a panic in one operation must not end the other operations of its connection
		if panicked := recover(); panicked != nil {
			h.logger.Error("panic while an operation was prepared", "panic", fmt.Sprint(panicked))
			p, problems = nil, failed(ctx, nil).Errors
		}
	}()
	params.ReadTime = graphql.TraceTiming{Start: graphql.Now(), End: graphql.Now()}
	cursor, err := resumeCursor(params)
	if err != nil {
		return nil, gqlerror.List{graph.Public(ctx, err)}
	}
	operation, problems := executor.CreateOperationContext(ctx, params)
	if problems != nil {
		if err := h.chargeRefused(ctx, operation); err != nil {
			return nil, gqlerror.List{graph.Public(ctx, err)}
		}
		if operation.Doc != nil && operation.Operation == nil {
			problems = gqlerror.List{graph.NoOperation(params.OperationName)}
		}
		return nil, executor.DispatchError(graphql.WithOperationContext(ctx, operation), graph.Truncate(problems)).Errors
	}
	p = &preparedOperation{executor: executor, operation: operation}
	if operation.Operation.Operation != ast.Subscription {
		return p, nil
	}
	feed := &graph.Feed{}
	respond, ctx := executor.DispatchOperation(graph.WithFeed(ctx, feed), operation)
	if feed.Topic.Entity == "" {
		return nil, refusal(ctx, respond(ctx))
	}
	selected, err := bffentity.Select(feed.Topic)
	if err != nil {
		return nil, gqlerror.List{graph.Public(ctx, err)}
	}
	p.request = request{
		executor: executor, operation: operation, selection: selected, who: caller.FromContext(ctx), after: cursor, text: textOf(params),
	}
	return p, nil
}

// chargeRefused charges one point for a document that was refused before its cost was known, as over HTTP, because parsing it
// costs time too. The error says that the caller's budget is exhausted.
func (h *Hub) chargeRefused(ctx context.Context, operation *graphql.OperationContext) error {
	if h.budgets == nil || pipeline.ChargeOf(operation) != nil {
		return nil
	}
	_, err := h.budgets.Take(ctx, operation.RawQuery, 1)
	return err
}

// refund returns the points of an operation that is not executed.
func (h *Hub) refund(ctx context.Context, operation *graphql.OperationContext) {
	if charge := pipeline.ChargeOf(operation); charge != nil && h.budgets != nil {
		charge.Settle(ctx, h.budgets, 0)
	}
}

func refusal(ctx context.Context, response *graphql.Response) gqlerror.List {
	if response != nil && len(response.Errors) > 0 {
		return response.Errors
	}
	return failed(ctx, context.Cause(ctx)).Errors
}

func (p *preparedOperation) isSubscription() bool { return p.request.selection != nil }

// dispatch executes a query or a mutation.
func (p *preparedOperation) dispatch(ctx context.Context) *graphql.Response {
	respond, ctx := p.executor.DispatchOperation(ctx, p.operation)
	if response := respond(ctx); response != nil {
		return response
	}
	return failed(ctx, context.Cause(ctx))
}

// resumeCursor returns the cursor to resume from, or "".
func resumeCursor(params *graphql.RawParams) (string, error) {
	switch cursor := params.Extensions["after"].(type) {
	case nil:
		return "", nil
	case string:
		return cursor, nil
	}
	return "", eventstream.InvalidCursor()
}
