package pipeline

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/internal/caller"
)

// CacheHeader requests extensions.cache, with "1": which reads were served from the cache. For staff.
const CacheHeader = "Sluice-Cache"

// Freshness is the TTL of a response.
type Freshness struct {
	Left    time.Duration // 0 for a response that must not be cached
	Private bool
}

// freshnessKey is gqlgen's key of the freshness of a response.
const freshnessKey = "freshness"

// FreshnessOf returns how long the client may cache the response, if it has no errors.
func FreshnessOf(request *graphql.OperationContext) Freshness {
	f, _ := request.Stats.GetExtension(freshnessKey).(Freshness)
	return f
}

// cached executes the operation, or serves its cached response. Only responses to persisted documents are cached:
// they are few, and clients repeat them.
func (o *operation) cached(ctx context.Context, request *graphql.OperationContext, next graphql.OperationHandler) graphql.ResponseHandler {
	prepared := preparedOf(request)
	run := func(ctx context.Context) graphql.ResponseHandler {
		respond := next(ctx)
		o.documents.updateWeight(prepared)
		return respond
	}
	if request.Operation.Operation != ast.Query {
		return run(ctx)
	}
	control := prepared.CacheControl
	request.Stats.SetExtension(freshnessKey, Freshness{control.MaxAge, control.Private})
	keeps := o.responses != nil && control.MaxAge > 0 && DocumentOf(request).ID != ""
	reported := reportsReads(ctx, request)
	if !keeps {
		if !reported {
			return run(ctx)
		}
		reads := bff.NewReads()
		respond := run(bff.WithReads(ctx, reads))
		return func(ctx context.Context) *graphql.Response {
			response := respond(ctx)
			showReads(response, reads)
			return response
		}
	}
	a := &cacheable{operation: o, request: request, control: control, reported: reported, run: run}
	return a.answer
}

// cacheable is an execution whose response is served from the cache or stored in it.
type cacheable struct {
	*operation
	request  *graphql.OperationContext
	control  document.CacheControl
	reported bool
	run      graphql.OperationHandler
	reads    *bff.Reads
	respond  graphql.ResponseHandler // nil at first
}

func (a *cacheable) answer(ctx context.Context) *graphql.Response {
	if a.respond != nil {
		return a.respond(ctx)
	}
	found, flight := a.responses.Lookup(ctx, bff.ResponseKey{
		Document: preparedOf(a.request).of.hash, Operation: a.request.OperationName, Variables: a.request.Variables, Private: a.control.Private,
		Denied: denialsOf(a.request).Key,
	})
	if found != nil {
		a.request.Stats.SetExtension(freshnessKey, Freshness{found.TTL, a.control.Private})
		a.respond = a.serve(found)
		return a.respond(ctx)
	}
	if a.reads = (&bff.Reads{}); a.reported {
		a.reads = bff.NewReads()
	}
	ctx = bff.WithReads(ctx, a.reads)
	if flight != nil {
		defer flight.Finish(ctx)
	}
	a.respond = a.run(ctx)
	response := a.respond(ctx)
	if flight != nil && response != nil && len(response.Errors) == 0 && response.HasNext == nil {
		flight.Store(a.reads, bff.CachedResponse{Data: response.Data, Points: actual(a.request), TTL: a.control.MaxAge})
	}
	if a.reported {
		showReads(response, a.reads)
	}
	return response
}

func (o *operation) serve(found *bff.CachedResponse) graphql.ResponseHandler {
	given := false
	return func(ctx context.Context) *graphql.Response {
		if given || ctx.Err() != nil {
			return nil
		}
		given = true
		// gqlgen calls interceptors of responses only for its own executor.
		intercepted := func(ctx context.Context) *graphql.Response {
			request := graphql.GetOperationContext(ctx)
			o.admission.Settle(ctx, found.Points)
			response := &graphql.Response{Data: found.Data}
			if reportsReads(ctx, request) {
				response.Extensions = map[string]any{"cache": map[string]any{"cachedResponse": true, "tier": found.Tier, "expiresInMs": found.TTL.Milliseconds()}}
			}
			return response
		}
		return o.InterceptResponse(ctx, func(ctx context.Context) *graphql.Response {
			return o.admission.InterceptResponse(ctx, intercepted)
		})
	}
}

func actual(request *graphql.OperationContext) int {
	if charge := ChargeOf(request); charge != nil {
		return charge.Actual
	}
	return 0
}

func reportsReads(ctx context.Context, request *graphql.OperationContext) bool {
	return request.Headers.Get(CacheHeader) == "1" && caller.FromContext(ctx).Staff()
}

// fieldShown is the entry of a field in extensions.cache.
type fieldShown struct {
	Path        []string        `json:"path"`
	Result      bff.CacheResult `json:"result"`
	Tier        bff.Tier        `json:"tier,omitempty"`
	ExpiresInMs int64           `json:"expiresInMs,omitempty"`
	Methods     []string        `json:"methods"`
	bff.CacheUse
}

func showReads(response *graphql.Response, reads *bff.Reads) {
	if response == nil {
		return
	}
	fields := []fieldShown{}
	for _, f := range reads.Fields() {
		fields = append(fields, fieldShown{
			Path: strings.Split(f.Path, "."), Result: f.Use.Result(), Tier: f.Use.Tier(), ExpiresInMs: f.Use.TTL.Milliseconds(),
			Methods: f.Methods, CacheUse: f.Use,
		})
	}
	if response.Extensions == nil {
		response.Extensions = map[string]any{}
	}
	response.Extensions["cache"] = map[string]any{"cachedResponse": false, "fields": fields, "reads": reads.Methods()}
}

func pathOf(field *graphql.FieldContext) string {
	var names []string
	for ; field != nil; field = field.Parent {
		if field.Index == nil && field.Field.Field != nil {
			names = append(names, field.Field.Alias)
		}
	}
	slices.Reverse(names)
	return strings.Join(names, ".")
}
