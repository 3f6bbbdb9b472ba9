package live

import (
	"context"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	bffentity "github.com/sluicehq/sluice/bff/entity"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// preparedOperation is an admitted operation: a subscription if its request has a selection, else a query or a
// mutation.
type preparedOperation struct {
	operation *admission.Operation
	request   request
}

func supportsAll(*ast.OperationDefinition) error { return nil }

// prepare admits an operation of the caller in ctx. The refusal is for a request whose document was not parsed, or
// whose transport does not execute such operations. problems are the errors of any other refused operation.
func (h *Hub) prepare(ctx context.Context, executor graphql.GraphExecutor, params *graphql.RawParams, supports admission.Supports) (p *preparedOperation, problems gqlerror.List, refusal error) {
	defer func() { // a panic in one operation must not end the other operations of its connection
		if panicked := recover(); panicked != nil {
			h.logger.Error("panic while an operation was prepared", "panic", fmt.Sprint(panicked))
			p, problems, refusal = nil, failed(ctx, nil).Errors, nil
		}
	}()
	params.ReadTime = graphql.TraceTiming{Start: graphql.Now(), End: graphql.Now()}
	cursor, err := resumeCursor(params)
	if err != nil {
		return nil, gqlerror.List{graph.Public(ctx, err)}, nil
	}
	o := h.admission.Admit(ctx, executor, params, supports)
	switch {
	case o.Refusal != nil:
		return nil, nil, o.Refusal
	case o.Response != nil && o.Context == nil:
		return nil, nil, o.Retry
	case o.Response != nil:
		return nil, o.Response.Errors, nil
	}
	p = &preparedOperation{operation: o}
	operation := o.Context
	if operation.Operation.Operation != ast.Subscription {
		return p, nil, nil
	}
	if !h.source.Joined() {
		return nil, gqlerror.List{graph.Public(ctx, eventsUnavailable())}, nil
	}
	feed := &graph.Feed{}
	respond, ctx := executor.DispatchOperation(graph.WithFeed(ctx, feed), operation)
	if feed.Topic.Entity == "" {
		return nil, errorsOf(ctx, respond(ctx)), nil
	}
	selected, err := bffentity.Select(feed.Topic)
	if err != nil {
		return nil, gqlerror.List{graph.Public(ctx, err)}, nil
	}
	p.request = request{
		executor: executor, operation: operation, selection: selected, who: caller.FromContext(ctx), after: cursor, text: textOf(params),
	}
	return p, nil, nil
}

func eventsUnavailable() error {
	e := errs.New(errs.Unavailable, "EVENTS_UNAVAILABLE", "the gateway has not reached the event stream yet")
	e.RetryAfter = followMaxBackoff
	return e
}

// errorsOf returns the errors of a response, or the cause of the end of the context without a response.
func errorsOf(ctx context.Context, response *graphql.Response) gqlerror.List {
	if response != nil && len(response.Errors) > 0 {
		return response.Errors
	}
	return failed(ctx, context.Cause(ctx)).Errors
}

func (p *preparedOperation) isSubscription() bool { return p.request.selection != nil }

// dispatch executes a query or a mutation.
func (p *preparedOperation) dispatch(ctx context.Context) *graphql.Response {
	if p.operation.Run(ctx); p.operation.Refusal != nil {
		return failed(ctx, p.operation.Refusal)
	}
	return p.operation.Response
}

func resumeCursor(params *graphql.RawParams) (string, error) {
	switch cursor := params.Extensions["after"].(type) {
	case nil:
		return "", nil
	case string:
		return cursor, nil
	}
	return "", eventstream.InvalidCursor()
}
