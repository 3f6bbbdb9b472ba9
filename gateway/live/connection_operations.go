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

// running is an operation that has not ended: a subscription, or a query or mutation that can be
// cancelled.
type running struct {
	id     string
	member *member
	cancel context.CancelFunc
}

// subscribe begins a subscription, or runs a query or a mutation.
func (c *connection) subscribe(m protocol.Message) *frame.Close {
	if !c.greeted.Load() {
		return &frame.Close{Code: frame.CloseUnauthorized, Reason: "Unauthorized"}
	}
	params, err := protocol.Operation(c.hub.requests, m.Payload)
	if err != nil {
		return &frame.Close{Code: frame.CloseBadRequest, Reason: err.Error()}
	}
	c.mu.Lock()
	duplicate := slices.ContainsFunc(c.running, func(r running) bool { return r.id == m.ID })
	full := len(c.running) >= c.hub.settings.MaxSubscriptions
	departing := c.departing != nil
	c.mu.Unlock()
	if departing {
		return nil // it is asked again elsewhere, as is all that is not answered
	}
	if duplicate {
		return &frame.Close{Code: frame.CloseDuplicate, Reason: fmt.Sprintf("Subscriber for %.60s already exists", m.ID)}
	}
	ctx := c.context()
	if full {
		err := errs.New(errs.ResourceExhausted, "TOO_MANY_SUBSCRIPTIONS", "there are %d operations on this connection already", c.hub.settings.MaxSubscriptions)
		return c.fail(m.ID, gqlerror.List{graph.Public(ctx, err)})
	}
	leave, err := c.hub.letIn(ctx, params.Query)
	if err != nil {
		return c.fail(m.ID, gqlerror.List{graph.Public(ctx, err)})
	}
	p, problems := c.hub.prepare(ctx, c.executor, params)
	if problems != nil {
		leave()
		return c.fail(m.ID, problems)
	}
	if !p.isSubscription() {
		return c.query(ctx, m.ID, p, leave)
	}
	leave()
	return c.listen(ctx, m.ID, p)
}

func (c *connection) listen(ctx context.Context, id string, p *prepared) *frame.Close {
	member := &member{shard: c.shard, to: c, id: string(encoded(id))}
	c.mu.Lock()
	c.running = append(c.running, running{id: id, member: member})
	c.mu.Unlock()
	if err := c.hub.subscribe(member, p.request); err != nil {
		c.take(id)
		return c.fail(id, gqlerror.List{graph.Public(ctx, err)})
	}
	return nil
}

// query runs a query or a mutation beside what else there is, and leaves when it has ended.
func (c *connection) query(ctx context.Context, id string, p *prepared, leave func()) *frame.Close {
	ctx, cancel := context.WithTimeout(ctx, c.hub.settings.RequestTimeout)
	c.mu.Lock()
	c.running = append(c.running, running{id: id, cancel: cancel})
	c.mu.Unlock()
	begun := c.hub.begin(func() {
		defer leave()
		defer cancel()
		c.answer(ctx, id, p)
		c.departIfIdle()
	})
	if !begun {
		leave()
		cancel()
	}
	return nil
}

// answer runs a query or a mutation, and says what came of it.
func (c *connection) answer(ctx context.Context, id string, p *prepared) {
	answer := payload(c.safely(ctx, p), "")
	if _, ours := c.take(id); !ours {
		return // the client has lost interest
	}
	if !json.Valid(answer) {
		answer = payload(failed(ctx, nil), "")
	}
	encodedID := string(encoded(id))
	var frame []byte
	if p.operation.Operation.Operation == ast.Mutation { // compressed with what the client sent, its length would tell of secrets
		frame = c.dialect.AppendNext(nil, encodedID, answer)
	} else {
		frame = c.appendNext(nil, encodedID, answer)
	}
	if !c.Reply(append(frame, protocol.Encode("complete", encodedID, nil)...)) {
		c.bye(*flooded())
	}
}

func (c *connection) safely(ctx context.Context, p *prepared) (response *graphql.Response) {
	defer func() {
		if panicked := recover(); panicked != nil {
			c.hub.logger.Error("panic in an operation", "panic", fmt.Sprint(panicked))
			response = failed(ctx, nil)
		}
	}()
	return p.run(ctx)
}

func (c *connection) finish(r running, reason string) {
	if r.cancel != nil {
		r.cancel()
	}
	if r.member != nil {
		c.hub.end(r.member, reason)
		c.Wake()
	}
}

// fail ends an operation that has not begun.
func (c *connection) fail(id string, problems gqlerror.List) *frame.Close {
	content := encoded(problems)
	if !c.dialect.List {
		content = encoded(problems[0])
	}
	if !c.Reply(protocol.Encode("error", string(encoded(id)), content)) {
		return flooded()
	}
	return nil
}

// complete ends what the client does not want any more. One that has ended already is no fault.
func (c *connection) complete(id string) {
	r, ok := c.take(id)
	if !ok {
		return
	}
	c.finish(r, "client")
	if c.dialect.Alive != "" { // the older protocol has it confirmed
		c.Reply(protocol.Encode("complete", string(encoded(id)), nil))
	}
}

func (c *connection) take(id string) (running, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.running, func(r running) bool { return r.id == id })
	if i < 0 {
		return running{}, false
	}
	r := c.running[i]
	c.running = remove(c.running, i)
	return r, true
}

// depart is client.
func (c *connection) depart(why frame.Close) {
	c.mu.Lock()
	c.departing = &why
	c.mu.Unlock()
	c.departIfIdle()
}

// departIfIdle ends a connection that was told to depart and has no query left to answer.
func (c *connection) departIfIdle() {
	c.mu.Lock()
	why := c.departing
	busy := slices.ContainsFunc(c.running, func(r running) bool { return r.cancel != nil })
	c.mu.Unlock()
	if why != nil && !busy {
		c.bye(*why)
	}
}
