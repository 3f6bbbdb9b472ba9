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
	"github.com/sluicehq/sluice/internal/caller"
)

// prepared is an operation that was let in: a subscription when it has a filter, else a query or a
// mutation that can be run.
type prepared struct {
	executor  graphql.GraphExecutor
	operation *graphql.OperationContext
	request   request
}

// prepare reads the operation and checks that the caller of ctx may run it.
func (h *Hub) prepare(ctx context.Context, executor graphql.GraphExecutor, params *graphql.RawParams) (p *prepared, problems gqlerror.List) {
	defer func() { // one operation's fault is not the other operations' of its connection
		if panicked := recover(); panicked != nil {
			h.logger.Error("panic in preparing an operation", "panic", fmt.Sprint(panicked))
			p, problems = nil, failed(ctx, nil).Errors
		}
	}()
	params.ReadTime = graphql.TraceTiming{Start: graphql.Now(), End: graphql.Now()}
	cursor, err := after(params)
	if err != nil {
		return nil, gqlerror.List{graph.Public(ctx, err)}
	}
	operation, problems := executor.CreateOperationContext(ctx, params)
	if problems != nil {
		if err := h.chargeUnpriced(ctx, operation); err != nil {
			return nil, gqlerror.List{graph.Public(ctx, err)}
		}
		if operation.Doc != nil && operation.Operation == nil {
			problems = gqlerror.List{graph.NoOperation(params.OperationName)}
		}
		return nil, executor.DispatchError(graphql.WithOperationContext(ctx, operation), graph.Truncate(problems)).Errors
	}
	p = &prepared{executor: executor, operation: operation}
	if operation.Operation.Operation != ast.Subscription {
		return p, nil
	}
	feed := &graph.Feed{}
	respond, ctx := executor.DispatchOperation(graph.WithFeed(ctx, feed), operation)
	if feed.Topic.Entity == "" {
		return nil, refusal(ctx, respond(ctx))
	}
	filter, err := bffentity.Select(feed.Topic)
	if err != nil {
		return nil, gqlerror.List{graph.Public(ctx, err)}
	}
	p.request = request{
		executor: executor, operation: operation, filter: filter, who: caller.FromContext(ctx), after: cursor, text: textOf(params),
	}
	return p, nil
}

// chargeUnpriced takes a point for a document that was refused before it had a price, as over HTTP:
// reading it was work too. The error is the refusal when there is none left.
func (h *Hub) chargeUnpriced(ctx context.Context, operation *graphql.OperationContext) error {
	if h.budgets == nil || graph.ChargeOf(operation) != nil {
		return nil
	}
	_, err := h.budgets.Take(ctx, operation.RawQuery, 1)
	return err
}

// giveBack gives back what an operation was charged that is not run.
func (h *Hub) giveBack(ctx context.Context, operation *graphql.OperationContext) {
	if charge := graph.ChargeOf(operation); charge != nil && h.budgets != nil {
		charge.GiveBack(ctx, h.budgets)
	}
}

func refusal(ctx context.Context, response *graphql.Response) gqlerror.List {
	if response != nil && len(response.Errors) > 0 {
		return response.Errors
	}
	return failed(ctx, context.Cause(ctx)).Errors
}

func (p *prepared) isSubscription() bool { return p.request.filter != nil }

// run runs a query or a mutation.
func (p *prepared) run(ctx context.Context) *graphql.Response {
	respond, ctx := p.executor.DispatchOperation(ctx, p.operation)
	if response := respond(ctx); response != nil {
		return response
	}
	return failed(ctx, context.Cause(ctx))
}

// after is the cursor to resume after, or "".
func after(params *graphql.RawParams) (string, error) {
	switch cursor := params.Extensions["after"].(type) {
	case nil:
		return "", nil
	case string:
		return cursor, nil
	}
	return "", eventstream.InvalidCursor()
}
