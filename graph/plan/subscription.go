package plan

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
)

// subscribe calls the subscription's resolver. It returns a handler with one response for each event of the
// resolver's channel.
func (s *Schema) subscribe(ctx context.Context, request *graphql.OperationContext, p *plan) graphql.ResponseHandler {
	n := p.root.below[0].nodes[0]
	events := s.open(ctx, request, p, n)
	if events == nil { // the context has the error
		return func(context.Context) *graphql.Response { return nil }
	}
	return func(ctx context.Context) *graphql.Response {
		v, ok := n.field.Receive(ctx, events)
		if !ok {
			return nil
		}
		return s.run(ctx, request, p, func(r *run, n *Node) {
			st := &r.states[n.slot]
			st.results = append(st.results[:0], result{value: v})
			r.descend(n, st)
		}).response()
	}
}

// open returns the channel of a root field, or nil after it has reported an error to the context.
func (s *Schema) open(ctx context.Context, request *graphql.OperationContext, p *plan, n *Node) (events any) {
	if s.source.Inputs != nil {
		ctx = s.source.Inputs(ctx)
	}
	x := s.source.Begin(request)
	ctx = graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: p.root.chain.Object})
	fc, err := n.field.Context(x, ctx, n.collected)
	if err != nil {
		return nil // Context has reported it
	}
	ctx = graphql.WithFieldContext(ctx, fc)
	defer func() {
		if recovered := recover(); recovered != nil {
			request.Error(ctx, request.Recover(ctx, recovered))
			events = nil
		}
	}()
	events, err = request.ResolverMiddleware(ctx, func(inner context.Context) (any, error) {
		ctx = inner
		return n.field.Call(x, inner, fc, nil)
	})
	if err != nil {
		request.Error(ctx, graphql.AddFieldLocationToError(ctx, err))
		return nil
	}
	if events == nil {
		graphql.AddErrorf(ctx, "must not be null")
	}
	return events
}

// Receive is Field.Receive for a channel of T.
func Receive[T any](ctx context.Context, events any) (any, bool) {
	select {
	case v, ok := <-events.(<-chan T):
		return v, ok
	case <-ctx.Done():
		return nil, false
	}
}
