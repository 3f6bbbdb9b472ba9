package edge

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/bff/conduct"
	"github.com/sluicehq/sluice/bff/envelope"
	"github.com/sluicehq/sluice/bff/overload"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/internal/errs"
)

// The media types of GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/).
const (
	mediaGraphQL = "application/graphql-response+json"
	mediaJSON    = "application/json"
)

// transport answers queries over GET, and queries and mutations over POST.
type transport struct {
	requests envelope.Limits
	maxBody  int64
	compress int // bytes from which on answers are compressed; 0 for never
	logger   *slog.Logger
	quota    *quota.Callers   // nil for no budgets
	conduct  *conduct.Callers // nil watches nobody
	overload *overload.Gate   // nil refuses nobody
	writers  *sync.Pool       // of gzip.Writer
}

var _ graphql.Transport = transport{}

// Transport answers over HTTP alone, without what New puts around it. Bodies are bounded, in bytes.
func Transport(maxBody int64, logger *slog.Logger) graphql.Transport {
	return transport{requests: envelope.Usual(), maxBody: maxBody, logger: logger, writers: gzipWriters()}
}

// Supports takes all that wellFormed lets through. Transports that take some of it, as those of
// subscriptions, are added before this one.
func (transport) Supports(*http.Request) bool { return true }

// Do answers one request.
func (t transport) Do(w http.ResponseWriter, r *http.Request, executor graphql.GraphExecutor) {
	defer t.recovered(w, r, executor)
	ctx := r.Context()
	leave, err := t.enter(ctx)
	if err != nil {
		t.noteRefusal(ctx, err)
		refuse(w, r, err)
		return
	}
	defer leave()
	params, err := t.read(w, r)
	if err != nil {
		refuse(w, r, cmp.Or(t.chargeUnread(ctx, w), err))
		return
	}
	if response := t.unread(ctx, w, params); response != nil {
		t.writeResponse(w, r, requestStatus(response.Errors), response, nil)
		return
	}
	operation, problems := executor.CreateOperationContext(ctx, params)
	if problems != nil && operation.Doc != nil && operation.Operation == nil {
		problems = gqlerror.List{graph.NoOperation(params.OperationName)}
	}
	if err := misplaced(w, r.Method, operation.Operation); err != nil {
		t.giveBack(ctx, w, operation)
		refuse(w, r, cmp.Or(t.chargeUnread(ctx, w), err))
		return
	}
	if problems = t.tellCharge(ctx, w, operation, problems); problems != nil {
		response := executor.DispatchError(graphql.WithOperationContext(ctx, operation), graph.Few(problems))
		t.writeResponse(w, r, requestStatus(response.Errors), response, nil)
		return
	}
	respond, ctx := executor.DispatchOperation(ctx, operation)
	response := respond(ctx)
	if response == nil { // the time was over before anything ran
		t.giveBack(ctx, w, operation)
		refuse(w, r, context.Cause(ctx))
		return
	}
	t.tellSpent(w, operation)
	t.writeResponse(w, r, http.StatusOK, response, operation)
}

// misplaced says why the operation, if there is one, is not run for a request of the method.
func misplaced(w http.ResponseWriter, method string, operation *ast.OperationDefinition) error {
	switch {
	case operation == nil:
	case operation.Operation == ast.Subscription:
		return graph.NeedsStream()
	case method == http.MethodGet && operation.Operation == ast.Mutation:
		w.Header().Set("Allow", http.MethodPost)
		return errs.New(errs.InvalidArgument, "METHOD_NOT_ALLOWED", "only queries are answered over GET: POST the mutation")
	}
	return nil
}

// recovered answers a panic here, because gqlgen's handler would answer it in a form of its own.
func (t transport) recovered(w http.ResponseWriter, r *http.Request, executor graphql.GraphExecutor) {
	if p := recover(); p != nil {
		ctx := graphql.WithOperationContext(r.Context(), &graphql.OperationContext{})
		response := executor.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(graph.Recover(ctx, p))})
		t.writeResponse(w, r, http.StatusInternalServerError, response, nil)
	}
}

func (t transport) read(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, error) {
	asked, err := t.parse(w, r)
	if err != nil {
		return nil, err
	}
	now := graphql.Now()
	return &graphql.RawParams{
		Query: asked.Query, OperationName: asked.OperationName, Variables: asked.Variables, Extensions: asked.Extensions,
		Headers: r.Header, ReadTime: graphql.TraceTiming{Start: now, End: now},
	}, nil
}

func (t transport) parse(w http.ResponseWriter, r *http.Request) (*envelope.Request, error) {
	if r.Method == http.MethodGet {
		return t.requests.ReadURL(r.URL)
	}
	body, err := t.readBody(w, r)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, errs.New(errs.DeadlineExceeded, "BODY_TOO_SLOW", "the body did not come in time")
		}
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, errs.New(errs.InvalidArgument, "BODY_TOO_LARGE", "the body is larger than %d bytes", t.maxBody)
		}
		return nil, errs.New(errs.InvalidArgument, "REQUEST_MALFORMED", "the body could not be read").Because(err)
	}
	return t.requests.Read(body)
}

// readBody reads the body, which timed gives a deadline. What comes after it, as that a client of an event
// stream goes away, is waited for without one.
func (t transport) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, t.maxBody))
	if err == nil {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // not all connections have one
	}
	return body, err
}

// wellFormed refuses what is not GraphQL over HTTP before its body is read.
func wellFormed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
		case http.MethodPost:
			if !isJSON(r.Header.Get("Content-Type")) {
				refuse(w, r, errs.New(errs.InvalidArgument, "MEDIA_TYPE_UNSUPPORTED", "the body must be sent as Content-Type: application/json"))
				return
			}
			if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
				w.Header().Set("Accept-Encoding", "identity")
				refuse(w, r, errs.New(errs.InvalidArgument, "MEDIA_TYPE_UNSUPPORTED", "the body must be sent as it is, without a Content-Encoding"))
				return
			}
		default:
			w.Header().Set("Allow", "GET, POST, OPTIONS")
			refuse(w, r, errs.New(errs.InvalidArgument, "METHOD_NOT_ALLOWED", "use GET or POST"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isJSON tells whether a body of the type can be read.
func isJSON(contentType string) bool {
	if contentType == mediaJSON {
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	charset := params["charset"]
	return err == nil && media == mediaJSON && (charset == "" || strings.EqualFold(charset, "utf-8"))
}
