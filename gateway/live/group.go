package live

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	bffentity "github.com/sluicehq/sluice/bff/entity"
	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

const (
	// maxPending is how many events may wait for one operation to run. When there are more its members
	// follow the stream each by itself.
	maxPending = 1024
	// answersKept is how many answers a group keeps for those of its members who come back together.
	answersKept = 32
)

// group is the subscriptions with the same operation, variables and visibility: per event the operation
// runs once, and what it answers is written to each member.
type group struct {
	hub        *Hub
	key        string
	filter     *bffentity.Selection
	visibility visibility
	executor   graphql.GraphExecutor
	operation  *graphql.OperationContext
	members    int // guarded by Hub.mu: how many hold it, wherever they are

	mu      sync.Mutex
	pending []*eventstream.Event
	running bool
	posted  uint64 // the last event whose answer went to the shards
	since   uint64 // what was before this is not, or no longer, broadcast

	answersMu sync.Mutex
	answers   map[uint64]*madeOnce
	order     []uint64
}

// madeOnce is an answer that several followers may ask for.
type madeOnce struct {
	once   sync.Once
	answer *answer
}

// answer is what a group answers to an event.
type answer struct {
	sequence uint64
	at       time.Time // when the event happened
	cursor   string
	gap      bool   // it tells of lost events
	payload  []byte // an ExecutionResult
}

// wants tells whether the event is for the group.
func (g *group) wants(e *eventstream.Event) bool {
	return e.Gap != nil || (g.filter.Contains(&e.Event) && g.visibility.sees(e))
}

// enqueue has the operation run for the event. Hub.mu is held, so that events come in order.
func (g *group) enqueue(e *eventstream.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.pending) >= maxPending {
		g.pending = nil
		g.since = e.Sequence
		g.hub.post(item{expel: g})
		return
	}
	g.pending = append(g.pending, e)
	if !g.running {
		g.running = true
		g.hub.work.Go(g.run)
	}
}

// run answers what is pending and gives it to the shards.
func (g *group) run() {
	g.hub.executing <- struct{}{}
	defer func() { <-g.hub.executing }()
	for {
		events := g.take()
		if events == nil {
			return
		}
		for _, e := range events {
			a := g.make(e)
			if g.hub.ctx.Err() != nil {
				return // the run was cut short: whoever comes back elsewhere gets the event there
			}
			g.mu.Lock()
			g.posted = e.Sequence
			g.hub.post(item{group: g, answer: a})
			g.mu.Unlock()
		}
	}
}

func (g *group) take() []*eventstream.Event {
	g.mu.Lock()
	defer g.mu.Unlock()
	events := g.pending
	g.pending = nil
	if events == nil {
		g.running = false
	}
	return events
}

// join adds the member to the broadcast if it has seen all that was broadcast so far; what is still
// pending comes after it. Its shard leaves out what it has seen.
func (g *group) join(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.seen < max(g.posted, g.since) {
		return false
	}
	m.shard.post(item{join: m})
	return true
}

// again is the answer for one of several followers.
func (g *group) again(e *eventstream.Event) *answer {
	g.answersMu.Lock()
	made, ok := g.answers[e.Sequence]
	if !ok {
		if g.answers == nil {
			g.answers = map[uint64]*madeOnce{}
		}
		if len(g.order) == answersKept {
			delete(g.answers, g.order[0])
			g.order = g.order[1:]
		}
		made = &madeOnce{}
		g.answers[e.Sequence] = made
		g.order = append(g.order, e.Sequence)
	}
	g.answersMu.Unlock()
	made.once.Do(func() { made.answer = g.make(e) })
	return made.answer
}

// make runs the operation for the event.
func (g *group) make(e *eventstream.Event) *answer {
	a := &answer{sequence: e.Sequence, at: e.At, cursor: e.Cursor}
	if e.Gap != nil {
		a.gap, a.payload = true, gapPayload(e)
		return a
	}
	g.hub.metrics.executions.Inc()
	ctx, cancel := context.WithTimeout(caller.NewContext(g.hub.ctx, g.visibility.who), g.hub.settings.RequestTimeout)
	defer cancel()
	a.payload = payload(g.execute(ctx, e), e.Cursor)
	if !json.Valid(a.payload) { // a service gave JSON that is none
		g.hub.logger.Error("the answer to an event is no JSON", "sequence", e.Sequence, "entity", e.Entity, "id", e.ID)
		a.payload = payload(failed(ctx, errs.New(errs.Internal, errs.ReasonInternal, "something went wrong on our side")), e.Cursor)
	}
	return a
}

func (g *group) execute(ctx context.Context, e *eventstream.Event) (response *graphql.Response) {
	defer func() {
		if p := recover(); p != nil {
			g.hub.logger.Error("panic in a subscription", "panic", fmt.Sprint(p), "entity", e.Entity, "id", e.ID)
			response = failed(ctx, fmt.Errorf("panic: %v", p))
		}
	}()
	feed := &graph.Feed{Entity: e.Node}
	respond, ctx := g.executor.DispatchOperation(graph.WithFeed(ctx, feed), g.operation)
	if response := respond(ctx); response != nil {
		return response
	}
	return failed(ctx, context.Cause(ctx))
}

func failed(ctx context.Context, err error) *graphql.Response {
	if err == nil {
		err = errs.New(errs.Internal, errs.ReasonInternal, "something went wrong on our side")
	}
	return &graphql.Response{Errors: gqlerror.List{graph.Public(ctx, err)}}
}

// payload is an ExecutionResult; cursor "" leaves the cursor out.
func payload(response *graphql.Response, cursor string) []byte {
	out := append(make([]byte, 0, len(response.Data)+80), '{')
	if len(response.Errors) > 0 {
		out = append(append(out, `"errors":`...), encoded(response.Errors)...)
	}
	if len(response.Data) > 0 || len(response.Errors) == 0 {
		if len(response.Errors) > 0 {
			out = append(out, ',')
		}
		data := response.Data
		if len(data) == 0 {
			data = []byte("null")
		}
		out = append(append(out, `"data":`...), data...)
	}
	if cursor != "" {
		if response.Extensions == nil {
			response.Extensions = map[string]any{}
		}
		response.Extensions["cursor"] = cursor
	}
	if len(response.Extensions) > 0 {
		out = append(append(out, `,"extensions":`...), encoded(response.Extensions)...)
	}
	return append(out, '}')
}

func encoded(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return out
}

// gapPayload says that events were lost. Cursors need no escaping.
func gapPayload(e *eventstream.Event) []byte {
	return []byte(`{"data":null,"extensions":{"cursor":` + strconv.Quote(e.Cursor) +
		`,"gap":{"from":` + strconv.Quote(e.Gap.From) + `,"to":` + strconv.Quote(e.Gap.To) + `}}}`)
}
