package live

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/gateway/live/frame"
	"github.com/sluicehq/sluice/gateway/live/protocol"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/internal/errs"
)

// activeOperation is a running operation of a connection: a subscription, or a query or mutation, which can be
// cancelled.
type activeOperation struct {
	id         string
	subscriber *subscriber
	cancel     context.CancelFunc
}

// subscribe starts a subscription, or executes a query or a mutation.
func (c *connection) subscribe(m protocol.Message) *frame.Close {
	if !c.acknowledged.Load() {
		return &frame.Close{Code: frame.CloseUnauthorized, Reason: "Unauthorized"}
	}
	params, err := protocol.Operation(c.hub.requests, m.Payload)
	if err != nil {
		return &frame.Close{Code: frame.CloseBadRequest, Reason: err.Error()}
	}
	c.mu.Lock()
	duplicate := slices.ContainsFunc(c.operations, func(o activeOperation) bool { return o.id == m.ID })
	full := len(c.operations) >= c.hub.settings.MaxSubscriptions
	draining := c.drainClose != nil
	c.mu.Unlock()
	if draining {
		return nil // the client sends it to another gateway
	}
	if duplicate {
		return &frame.Close{Code: frame.CloseDuplicate, Reason: fmt.Sprintf("Subscriber for %.60s already exists", m.ID)}
	}
	ctx := c.context()
	if full {
		err := errs.New(errs.ResourceExhausted, "TOO_MANY_SUBSCRIPTIONS", "there are %d operations on this connection already", c.hub.settings.MaxSubscriptions)
		return c.fail(m.ID, gqlerror.List{graph.Public(ctx, err)})
	}
	leave, err := c.hub.admission.Arrive(ctx)
	if err != nil {
		return c.fail(m.ID, gqlerror.List{graph.Public(ctx, err)})
	}
	p, problems, err := c.hub.prepare(ctx, c.executor, params, supportsAll)
	if err != nil {
		problems = gqlerror.List{graph.Public(ctx, err)}
	}
	if problems != nil {
		leave()
		return c.fail(m.ID, problems)
	}
	if !p.isSubscription() {
		c.startQuery(ctx, m.ID, p, leave)
		return nil
	}
	leave()
	s := &subscriber{shard: c.shard, sink: c, id: string(encoded(m.ID))}
	c.addOperation(activeOperation{id: m.ID, subscriber: s})
	if err := c.hub.subscribe(s, p.request); err != nil {
		c.removeOperation(m.ID)
		return c.fail(m.ID, gqlerror.List{graph.Public(ctx, err)})
	}
	return nil
}

// startQuery executes a query or a mutation on a goroutine.
func (c *connection) startQuery(ctx context.Context, id string, p *preparedOperation, leave func()) {
	ctx, cancel := context.WithTimeout(ctx, c.hub.settings.RequestTimeout)
	c.addOperation(activeOperation{id: id, cancel: cancel})
	started := c.hub.start(func() {
		defer leave()
		defer cancel()
		c.respond(ctx, id, p)
		c.closeIfDrained()
	})
	if !started {
		leave()
		cancel()
	}
}

// respond executes a query or a mutation, and sends its response and complete.
func (c *connection) respond(ctx context.Context, id string, p *preparedOperation) {
	body := payload(c.dispatch(ctx, p), "")
	if _, active := c.removeOperation(id); !active {
		return // the client has cancelled it
	}
	if !json.Valid(body) {
		body = payload(failed(ctx, nil), "")
	}
	encodedID := string(encoded(id))
	var next []byte
	if p.operation.Context.Operation.Operation == ast.Mutation { // compressed with the client's input, its length would reveal secrets
		next = c.dialect.AppendNext(nil, encodedID, body)
	} else {
		next = c.appendNext(nil, encodedID, body)
	}
	if !c.Reply(append(next, protocol.Encode("complete", encodedID, nil)...)) {
		c.close(*requestFlood())
	}
}

func (c *connection) dispatch(ctx context.Context, p *preparedOperation) (response *graphql.Response) {
	defer func() {
		if panicked := recover(); panicked != nil {
			c.hub.logger.Error("panic in an operation", "panic", fmt.Sprint(panicked))
			response = failed(ctx, nil)
		}
	}()
	return p.dispatch(ctx)
}

func (c *connection) finish(o activeOperation, reason string) {
	if o.cancel != nil {
		o.cancel()
	}
	if o.subscriber != nil {
		c.hub.unsubscribe(o.subscriber, reason)
		c.Wake()
	}
}

// fail sends the errors of an operation that was not started.
func (c *connection) fail(id string, problems gqlerror.List) *frame.Close {
	content := encoded(problems)
	if !c.dialect.ErrorList {
		content = encoded(problems[0])
	}
	if !c.Reply(protocol.Encode("error", string(encoded(id)), content)) {
		return requestFlood()
	}
	return nil
}

// complete ends an operation that the client cancels; it is idempotent.
func (c *connection) complete(id string) {
	o, ok := c.removeOperation(id)
	if !ok {
		return
	}
	c.finish(o, "client")
	if c.dialect.KeepAlive != "" { // the older protocol confirms it
		c.Reply(protocol.Encode("complete", string(encoded(id)), nil))
	}
}

func (c *connection) addOperation(o activeOperation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.operations = append(c.operations, o)
}

func (c *connection) removeOperation(id string) (activeOperation, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.operations, func(o activeOperation) bool { return o.id == id })
	if i < 0 {
		return activeOperation{}, false
	}
	o := c.operations[i]
	c.operations = remove(c.operations, i)
	return o, true
}

func (c *connection) drain(why frame.Close) {
	c.mu.Lock()
	c.drainClose = &why
	c.mu.Unlock()
	c.closeIfDrained()
}

func (c *connection) closeIfDrained() {
	c.mu.Lock()
	why := c.drainClose
	busy := slices.ContainsFunc(c.operations, func(o activeOperation) bool { return o.cancel != nil })
	c.mu.Unlock()
	if why != nil && !busy {
		c.close(*why)
	}
}
