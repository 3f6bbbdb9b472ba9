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

	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/gqlrequest"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/internal/errs"
)

// The media types of GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/).
const (
	mediaGraphQL = "application/graphql-response+json"
	mediaJSON    = "application/json"
)

// transport executes queries over GET, and queries and mutations over POST.
type transport struct {
	requests     gqlrequest.Limits
	maxBody      int64
	compressFrom int // minimum bytes of a compressed response; 0 compresses none
	compressed   func(http.Handler) http.HandlerFunc
	logger       *slog.Logger
	admission    *admission.Controller
	buffers      *sync.Pool // of *[]byte, for responses
}

var _ graphql.Transport = transport{}

// Transport returns the transport over HTTP without the middleware of New. maxBody is in bytes.
func Transport(maxBody int64, logger *slog.Logger, control *admission.Controller) graphql.Transport {
	return newTransport(Options{Requests: gqlrequest.Usual(), MaxBody: maxBody, Logger: logger}, control)
}

func newTransport(o Options, control *admission.Controller) transport {
	return transport{
		requests: o.Requests, maxBody: o.MaxBody, compressFrom: o.CompressFrom, compressed: compressor(o.CompressFrom),
		logger: o.Logger, admission: control, buffers: &sync.Pool{New: func() any { return new([]byte) }},
	}
}

// Supports accepts every request that wellFormed accepts. The transports of subscriptions precede this one.
func (transport) Supports(*http.Request) bool { return true }

// Do responds to one request.
func (t transport) Do(w http.ResponseWriter, r *http.Request, executor graphql.GraphExecutor) {
	defer t.recovered(w, r, executor)
	ctx := r.Context()
	release, err := t.admission.Arrive(ctx)
	if err != nil {
		refuse(w, r, err)
		return
	}
	defer release()
	all, list, err := t.readAll(w, r)
	if err != nil {
		malformed := &admission.Operation{}
		refusal := t.admission.ChargeMalformed(ctx, malformed)
		admission.Report(w.Header(), malformed.Budget, malformed.Retry)
		refuse(w, r, cmp.Or(refusal, err))
		return
	}
	if list {
		t.executeBatch(w, r, executor, all)
		return
	}
	o := t.admission.Admit(ctx, executor, all[0], supports(w, r.Method))
	run(ctx, o)
	admission.Report(w.Header(), o.Budget, o.Retry)
	if o.Refusal != nil {
		refuse(w, r, o.Refusal)
		return
	}
	t.writeResponse(w, r, o)
}

func run(ctx context.Context, o *admission.Operation) {
	if o.Refusal == nil && o.Response == nil {
		o.Run(ctx)
	}
}

// supports returns why a request of the method does not execute an operation.
func supports(w http.ResponseWriter, method string) admission.Supports {
	return func(operation *ast.OperationDefinition) error {
		switch {
		case operation.Operation == ast.Subscription:
			return graph.NeedsStream()
		case method == http.MethodGet && operation.Operation == ast.Mutation:
			w.Header().Set("Allow", http.MethodPost)
			return errs.New(errs.InvalidArgument, "METHOD_NOT_ALLOWED", "only queries are answered over GET: POST the mutation")
		}
		return nil
	}
}

// recovered responds to a panic, because gqlgen's response would have another form.
func (t transport) recovered(w http.ResponseWriter, r *http.Request, executor graphql.GraphExecutor) {
	if p := recover(); p != nil {
		ctx := graphql.WithOperationContext(r.Context(), &graphql.OperationContext{})
		response := executor.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(graph.Recover(ctx, p))})
		t.writeResponse(w, r, &admission.Operation{Response: response})
	}
}

func (t transport) read(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, error) {
	t.requests.Batch = 0
	all, _, err := t.readAll(w, r)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func (t transport) readAll(w http.ResponseWriter, r *http.Request) (all []*graphql.RawParams, list bool, err error) {
	asked, list, err := t.parse(w, r)
	if err != nil {
		return nil, list, err
	}
	now := graphql.Now()
	for _, one := range asked {
		all = append(all, &graphql.RawParams{
			Query: one.Query, OperationName: one.OperationName, Variables: one.Variables, Extensions: one.Extensions,
			Headers: r.Header, ReadTime: graphql.TraceTiming{Start: now, End: now},
		})
	}
	return all, list, nil
}

func (t transport) parse(w http.ResponseWriter, r *http.Request) (all []*gqlrequest.Request, list bool, err error) {
	if r.Method == http.MethodGet {
		one, err := t.requests.ReadURL(r.URL)
		return []*gqlrequest.Request{one}, false, err
	}
	body, err := t.readBody(w, r)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, false, errs.New(errs.DeadlineExceeded, "BODY_TOO_SLOW", "the body did not come in time")
		}
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, false, errs.New(errs.InvalidArgument, "BODY_TOO_LARGE", "the body is larger than %d bytes", t.maxBody)
		}
		return nil, false, errs.New(errs.InvalidArgument, "REQUEST_MALFORMED", "the body could not be read").Because(err)
	}
	return t.requests.ReadAll(body)
}

// readBody reads the body within its deadline, then removes the deadline: the connection waits for the end of an
// event stream without one.
func (t transport) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, t.maxBody))
	if err == nil {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // some connections have no deadlines
	}
	return body, err
}

// wellFormed refuses requests that are not GraphQL over HTTP before it reads the body.
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

func isJSON(contentType string) bool {
	if contentType == mediaJSON {
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	charset := params["charset"]
	return err == nil && media == mediaJSON && (charset == "" || strings.EqualFold(charset, "utf-8"))
}
