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
	// maxPending bounds the events that wait for the execution of one operation. Beyond it, the subscribers of the
	// group leave the broadcast and catch up individually.
	maxPending = 1024
	// cachedResults is the number of results that a group caches for subscribers in catch-up.
	cachedResults = 32
)

// group is all subscriptions with the same operation, variables and visibility. It executes the operation once per
// event, and broadcasts the result.
type group struct {
	hub         *Hub
	key         string
	selection   *bffentity.Selection
	visibility  visibility
	executor    graphql.GraphExecutor
	operation   *graphql.OperationContext
	subscribers int // in broadcast and in catch-up; guarded by Hub.mu

	mu      sync.Mutex
	pending []*eventstream.Event
	running bool
	posted  uint64 // sequence of the last event whose result was posted to the shards
	since   uint64 // events up to this sequence are not broadcast

	resultsMu sync.Mutex
	results   map[uint64]*cachedResult
	order     []uint64 // keys of results, the oldest first
}

type cachedResult struct {
	once   sync.Once
	result *result
}

// result is the response of a group's operation to one event.
type result struct {
	sequence uint64
	at       time.Time // when the event was committed
	cursor   string
	gap      bool   // the payload reports lost events
	payload  []byte // an ExecutionResult
}

func (g *group) selects(e *eventstream.Event) bool {
	return e.Gap != nil || (g.selection.Contains(&e.Event) && g.visibility.sees(e))
}

// enqueue adds an event to execute. The caller holds Hub.mu, so events are in order.
func (g *group) enqueue(e *eventstream.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.pending) >= maxPending {
		g.pending = nil
		g.since = e.Sequence
		g.hub.post(task{evict: g})
		return
	}
	g.pending = append(g.pending, e)
	if !g.running {
		g.running = true
		g.hub.work.Go(g.run)
	}
}

// run executes the operation for the pending events, and posts the results to the shards.
func (g *group) run() {
	g.hub.executing <- struct{}{}
	defer func() { <-g.hub.executing }()
	for {
		g.mu.Lock()
		events := g.pending
		g.pending = nil
		g.running = events != nil
		g.mu.Unlock()
		if events == nil {
			return
		}
		for _, e := range events {
			r := g.execute(e)
			if g.hub.ctx.Err() != nil {
				return // a client that resumes on another gateway receives the event there
			}
			g.mu.Lock()
			g.posted = e.Sequence
			g.hub.post(task{group: g, result: r})
			g.mu.Unlock()
		}
	}
}

// join adds the subscriber to the broadcast. It returns false if the subscriber has not received every event that was
// broadcast so far. The shard skips pending events that the subscriber has received.
func (g *group) join(s *subscriber) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.position < max(g.posted, g.since) {
		return false
	}
	s.shard.post(task{join: s})
	return true
}

// replay returns the result of an event for one of several subscribers in catch-up, executed once.
func (g *group) replay(e *eventstream.Event) *result {
	g.resultsMu.Lock()
	cached, ok := g.results[e.Sequence]
	if !ok {
		if g.results == nil {
			g.results = map[uint64]*cachedResult{}
		}
		if len(g.order) == cachedResults {
			delete(g.results, g.order[0])
			g.order = g.order[1:]
		}
		cached = &cachedResult{}
		g.results[e.Sequence] = cached
		g.order = append(g.order, e.Sequence)
	}
	g.resultsMu.Unlock()
	cached.once.Do(func() { cached.result = g.execute(e) })
	return cached.result
}

// execute runs the operation for the event. A gap needs no execution.
func (g *group) execute(e *eventstream.Event) *result {
	r := &result{sequence: e.Sequence, at: e.At, cursor: e.Cursor}
	if e.Gap != nil {
		r.gap, r.payload = true, gapPayload(e)
		return r
	}
	g.hub.metrics.executions.Inc()
	ctx, cancel := context.WithTimeout(caller.NewContext(g.hub.ctx, g.visibility.who), g.hub.settings.RequestTimeout)
	defer cancel()
	r.payload = payload(g.dispatch(ctx, e), e.Cursor)
	if !json.Valid(r.payload) { // a service returned invalid JSON in a JSON field
		g.hub.logger.Error("the result of an event is not valid JSON", "sequence", e.Sequence, "entity", e.Entity, "id", e.ID)
		r.payload = payload(failed(ctx, nil), e.Cursor)
	}
	return r
}

func (g *group) dispatch(ctx context.Context, e *eventstream.Event) (response *graphql.Response) {
	defer func() {
		if p := recover(); p != nil {
			g.hub.logger.Error("panic in a subscription", "panic", fmt.Sprint(p), "entity", e.Entity, "id", e.ID)
			response = failed(ctx, fmt.Errorf("panic: %v", p))
		}
	}()
	respond, ctx := g.executor.DispatchOperation(graph.WithFeed(ctx, &graph.Feed{Entity: e.Node}), g.operation)
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

// payload returns the encoded result, with the cursor of its event if there is one.
func payload(response *graphql.Response, cursor string) []byte {
	if cursor != "" {
		if response.Extensions == nil {
			response.Extensions = map[string]any{}
		}
		response.Extensions["cursor"] = cursor
	}
	ran := len(response.Data) > 0 || len(response.Errors) == 0
	out, err := graph.AppendResult(make([]byte, 0, len(response.Data)+80), response, ran)
	if err != nil {
		return nil // no valid JSON, as a scalar that a service wrote wrongly
	}
	return out
}

func encoded(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return out
}

func gapPayload(e *eventstream.Event) []byte {
	return []byte(`{"data":null,"extensions":{"cursor":` + strconv.Quote(e.Cursor) +
		`,"gap":{"from":` + strconv.Quote(e.Gap.From) + `,"to":` + strconv.Quote(e.Gap.To) + `}}}`)
}
