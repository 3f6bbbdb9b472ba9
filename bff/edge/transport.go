package edge

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/internal/errs"
)

// The media types of GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/).
const (
	mediaGraphQL = "application/graphql-response+json"
	mediaJSON    = "application/json"
)

// maxQuery bounds the text of a document, in bytes: prepared documents are kept by their text.
const maxQuery = 128 << 10

// transport answers queries over GET, and queries and mutations over POST.
type transport struct {
	maxBody int64
	logger  *slog.Logger
	quota   *quota.Callers // nil for no budgets
}

var _ graphql.Transport = transport{}

// Transport answers over HTTP alone, without what New puts around it. Bodies are bounded, in bytes.
func Transport(maxBody int64, logger *slog.Logger) graphql.Transport {
	return transport{maxBody: maxBody, logger: logger}
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
		refuse(w, r, err)
		return
	}
	defer leave()
	params, err := t.read(w, r)
	if err != nil {
		refuse(w, r, cmp.Or(t.chargeUnpriced(ctx, w), err))
		return
	}
	operation, problems := executor.CreateOperationContext(ctx, params)
	if problems != nil && operation.Doc != nil && operation.Operation == nil {
		problems = gqlerror.List{noOperation(params.OperationName)}
	}
	if problems = t.tellCharge(ctx, w, operation, problems); problems != nil {
		response := executor.DispatchError(graphql.WithOperationContext(ctx, operation), problems)
		t.writeResponse(w, r, requestStatus(response.Errors), response, false)
		return
	}
	if r.Method == http.MethodGet && operation.Operation.Operation != ast.Query {
		t.giveBack(ctx, w, operation)
		w.Header().Set("Allow", http.MethodPost)
		refuse(w, r, errs.New(errs.InvalidArgument, "METHOD_NOT_ALLOWED", "only queries are answered over GET: POST the mutation"))
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
	t.writeResponse(w, r, http.StatusOK, response, true)
}

// recovered answers a panic here, because gqlgen's handler would answer it in a form of its own.
func (t transport) recovered(w http.ResponseWriter, r *http.Request, executor graphql.GraphExecutor) {
	if p := recover(); p != nil {
		ctx := graphql.WithOperationContext(r.Context(), &graphql.OperationContext{})
		response := executor.DispatchError(ctx, gqlerror.List{gqlerror.Wrap(graph.Recover(ctx, p))})
		t.writeResponse(w, r, http.StatusInternalServerError, response, false)
	}
}

// noOperation says why the document's operations did not tell which one to run.
func noOperation(name string) *gqlerror.Error {
	if name == "" {
		return graph.Invalid("the document has several operations: name one of them in operationName")
	}
	return graph.Invalid("the document has no operation %q", name)
}

func (t transport) read(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, error) {
	params, err := t.parse(w, r)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(params.Query) == "" {
		return nil, malformed("the request has no query")
	}
	if len(params.Query) > maxQuery {
		return nil, errs.New(errs.InvalidArgument, "QUERY_TOO_LARGE", "the query is longer than %d bytes", maxQuery)
	}
	params.Headers = r.Header
	params.ReadTime = graphql.TraceTiming{Start: graphql.Now(), End: graphql.Now()}
	return params, nil
}

func (t transport) parse(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, error) {
	if r.Method == http.MethodGet {
		return fromURL(r.URL)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, t.maxBody))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, errs.New(errs.InvalidArgument, "BODY_TOO_LARGE", "the body is larger than %d bytes", t.maxBody)
		}
		return nil, malformed("the body could not be read").Because(err)
	}
	return fromJSON(body)
}

func fromJSON(body []byte) (*graphql.RawParams, error) {
	var request struct {
		Query         *string         `json:"query"`
		OperationName *string         `json:"operationName"`
		Variables     json.RawMessage `json:"variables"`
		Extensions    json.RawMessage `json:"extensions"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, malformed("the body must be a JSON object with query, operationName, variables and extensions").Because(err)
	}
	params := &graphql.RawParams{}
	if request.Query != nil {
		params.Query = *request.Query
	}
	if request.OperationName != nil {
		params.OperationName = *request.OperationName
	}
	return params, readMaps(params, request.Variables, request.Extensions)
}

func fromURL(u *url.URL) (*graphql.RawParams, error) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, malformed("the URL's query does not read").Because(err)
	}
	params := &graphql.RawParams{Query: values.Get("query"), OperationName: values.Get("operationName")}
	return params, readMaps(params, json.RawMessage(values.Get("variables")), json.RawMessage(values.Get("extensions")))
}

func readMaps(params *graphql.RawParams, variables, extensions json.RawMessage) error {
	var err error
	if params.Variables, err = readMap("variables", variables); err != nil {
		return err
	}
	params.Extensions, err = readMap("extensions", extensions)
	return err
}

// readMap keeps numbers as they are written, so that none loses digits on its way.
func readMap(name string, text json.RawMessage) (map[string]any, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var values map[string]any
	if err := decoder.Decode(&values); err != nil || !json.Valid(text) {
		return nil, malformed(name + " must be a JSON object").Because(err)
	}
	return values, nil
}

func malformed(message string) *errs.Error {
	return errs.New(errs.InvalidArgument, "REQUEST_MALFORMED", "%s", message)
}

// wellFormed refuses what is not GraphQL over HTTP before its body is read.
func wellFormed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
		case http.MethodPost:
			media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
			charset := params["charset"]
			if err != nil || media != mediaJSON || (charset != "" && !strings.EqualFold(charset, "utf-8")) {
				refuse(w, r, errs.New(errs.InvalidArgument, "MEDIA_TYPE_UNSUPPORTED", "the body must be sent as Content-Type: application/json"))
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

// answer is a response of the form that the specification has: data is absent when nothing ran.
type answer struct {
	Errors     gqlerror.List    `json:"errors,omitempty"`
	Data       *json.RawMessage `json:"data,omitempty"`
	Extensions map[string]any   `json:"extensions,omitempty"`
}

func (t transport) writeResponse(w http.ResponseWriter, r *http.Request, status int, response *graphql.Response, ran bool) {
	out := answer{Errors: response.Errors, Extensions: response.Extensions}
	if ran {
		data := response.Data
		if len(data) == 0 {
			data = json.RawMessage("null")
		}
		out.Data = &data
	}
	media := accepted(r)
	if media == mediaJSON && status < http.StatusInternalServerError && status != http.StatusMethodNotAllowed {
		status = http.StatusOK // as the specification wants of this media type for an answer in GraphQL's form
	}
	parts, err := out.encode()
	if err != nil {
		t.logger.ErrorContext(r.Context(), "an answer is no JSON", "error", err.Error())
		refuse(w, r, fmt.Errorf("write the answer: %w", err))
		return
	}
	write(w, status, media, parts...)
}

// encode gives the text of the answer, in parts. The data are as they are: executor and scalars wrote
// JSON, and reading it again would cost as much as writing it did.
func (a answer) encode() ([][]byte, error) {
	if a.Data == nil {
		text, err := json.Marshal(a)
		return [][]byte{text}, err
	}
	if data := *a.Data; string(data) != "null" && !(bytes.HasPrefix(data, []byte("{")) && bytes.HasSuffix(data, []byte("}"))) {
		return nil, errors.New("the data are no object")
	}
	before, after := []byte(`{"data":`), []byte("}")
	if len(a.Errors) > 0 {
		text, err := json.Marshal(a.Errors)
		if err != nil {
			return nil, err
		}
		before = slices.Concat([]byte(`{"errors":`), text, []byte(`,"data":`))
	}
	if len(a.Extensions) > 0 {
		text, err := json.Marshal(a.Extensions)
		if err != nil {
			return nil, err
		}
		after = slices.Concat([]byte(`,"extensions":`), text, after)
	}
	return [][]byte{before, *a.Data, after}, nil
}

func write(w http.ResponseWriter, status int, media string, parts ...[]byte) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="sluice"`)
	}
	length := 0
	for _, part := range parts {
		length += len(part)
	}
	w.Header().Set("Content-Length", strconv.Itoa(length))
	w.Header().Set("Content-Type", media+"; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Add("Vary", "Accept")
	w.WriteHeader(status)
	for _, part := range parts {
		_, _ = w.Write(part) // a client that went away needs no answer
	}
}

// accepted is the media type that the client would rather have; without a wish, the older one.
func accepted(r *http.Request) string {
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		media, _, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		switch media {
		case mediaGraphQL:
			return mediaGraphQL
		case mediaJSON, "application/*", "*/*":
			return mediaJSON
		}
	}
	return mediaJSON
}

// refuse answers a request that never got as far as GraphQL, by an HTTP status of its own.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := errs.From(err)
	shown := graph.Shown(r.Context(), e)
	tellRetry(w.Header(), e.RetryAfter)
	body, _ := json.Marshal(answer{Errors: gqlerror.List{shown}}) // texts always encode
	write(w, httpStatus(e), accepted(r), body)
}

// requestStatus is the HTTP status of an operation that did not run. Documents have codes of their own.
func requestStatus(problems gqlerror.List) int {
	for _, problem := range problems {
		code, _ := problem.Extensions["code"].(string)
		if !strings.HasPrefix(code, "GRAPHQL_") {
			return httpStatus(&errs.Error{Code: errs.Code(code)})
		}
	}
	return http.StatusBadRequest
}

func httpStatus(e *errs.Error) int {
	switch e.Reason {
	case "BODY_TOO_LARGE":
		return http.StatusRequestEntityTooLarge
	case "MEDIA_TYPE_UNSUPPORTED":
		return http.StatusUnsupportedMediaType
	case "METHOD_NOT_ALLOWED":
		return http.StatusMethodNotAllowed
	}
	switch e.Code {
	case errs.InvalidArgument:
		return http.StatusBadRequest
	case errs.Unauthenticated:
		return http.StatusUnauthorized
	case errs.PermissionDenied:
		return http.StatusForbidden
	case errs.ResourceExhausted:
		return http.StatusTooManyRequests
	case errs.Unavailable:
		return http.StatusServiceUnavailable
	case errs.DeadlineExceeded:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}
