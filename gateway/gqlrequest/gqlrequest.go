// Package gqlrequest decodes GraphQL requests of HTTP, event streams and WebSockets: a document or its name, the name
// of an operation, variables and extensions. Size, nesting and number of values are checked before decoding. A
// request has one meaning: names are case-sensitive, and a duplicate name is refused.
package gqlrequest

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/jsontext"
)

// Limits bound a request before it is decoded. Only Batch is optional.
type Limits struct {
	Depth     int // nesting of lists and objects, with the request itself
	Values    int // in all
	Variables int // nesting of lists and objects, with the request itself
	Batch     int // in all
}

// Usual are limits that normal requests do not reach.
func Usual() Limits {
	usual := jsontext.Usual()
	return Limits{Depth: usual.Depth, Values: usual.Values, Variables: 512 << 10}
}

// MaxQuery bounds the text of a document, in bytes, because the cache of documents retains it.
const MaxQuery = 128 << 10

// Request is a decoded request.
type Request struct {
	Query         string
	OperationName string
	Variables     map[string]any // numbers are json.Number, which preserves digits
	Extensions    map[string]any
}

// Read decodes the JSON of a request with one operation.
func (l Limits) Read(body []byte) (*Request, error) {
	if err := l.check(body); err != nil {
		return nil, err
	}
	if isList(body) {
		return nil, errs.New(errs.InvalidArgument, "BATCHING_UNSUPPORTED", "send one operation a request: lists of them are not answered")
	}
	return l.readOne(body)
}

// ReadAll decodes a request body: one operation, or a batch if Batch allows it. list is true for a batch.
func (l Limits) ReadAll(body []byte) (all []*Request, list bool, err error) {
	if l.Batch == 0 || !isList(body) {
		one, err := l.Read(body)
		return []*Request{one}, false, err
	}
	if err := l.check(body); err != nil {
		return nil, true, err
	}
	if !json.Valid(body) {
		return nil, true, malformed("the request is no JSON")
	}
	for item := range items(body) {
		if len(all) == l.Batch {
			return nil, true, errs.New(errs.InvalidArgument, "BATCH_TOO_LARGE", "a request has at most %d operations", l.Batch)
		}
		one, err := l.readOne(item)
		if err != nil {
			return nil, true, err
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		return nil, true, malformed("the request has no operation")
	}
	return all, true, nil
}

// check bounds the text of a request.
func (l Limits) check(body []byte) error {
	if !utf8.Valid(body) {
		return malformed("the request must be in UTF-8")
	}
	return l.count(body)
}

func (l Limits) readOne(body []byte) (*Request, error) {
	if !json.Valid(body) || !isObject(body) {
		return nil, malformed("the request must be a JSON object with query, operationName, variables and extensions")
	}
	parts := map[string]json.RawMessage{}
	for name, value := range members(body) {
		if _, twice := parts[name]; twice {
			return nil, malformed("the request has %.40q twice", name)
		}
		parts[name] = value
	}
	r := &Request{}
	var id string
	for name, to := range map[string]*string{"query": &r.Query, "operationName": &r.OperationName, "documentId": &id} {
		if err := readText(name, parts[name], to); err != nil {
			return nil, err
		}
	}
	if err := l.readMaps(r, parts["variables"], parts["extensions"]); err != nil {
		return nil, err
	}
	return r, r.named(id)
}

// ReadURL decodes the request of a GET.
func (l Limits) ReadURL(u *url.URL) (*Request, error) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, malformed("the URL's query does not read").Because(err)
	}
	for _, name := range []string{"query", "operationName", "documentId", "variables", "extensions"} {
		if len(values[name]) > 1 {
			return nil, malformed("the URL has %q twice", name)
		}
	}
	for _, text := range values {
		if !utf8.ValidString(text[0]) {
			return nil, malformed("the URL's query must be in UTF-8")
		}
	}
	r := &Request{Query: values.Get("query"), OperationName: values.Get("operationName")}
	variables, extensions := json.RawMessage(values.Get("variables")), json.RawMessage(values.Get("extensions"))
	for name, text := range map[string]json.RawMessage{"variables": variables, "extensions": extensions} {
		if err := l.count(text); err != nil {
			return nil, err
		}
		if len(text) > 0 && !json.Valid(text) {
			return nil, malformed("%s must be a JSON object", name)
		}
	}
	if err := l.readMaps(r, variables, extensions); err != nil {
		return nil, err
	}
	return r, r.named(values.Get("documentId"))
}

// Names of the document in extensions: Apollo's, and documentId of the GraphQL over HTTP specification.
const (
	ExtensionPersistedQuery = "persistedQuery"
	ExtensionDocumentID     = "documentId"
)

// named stores the id of the document in the extensions. A request without any must have the document's text.
func (r *Request) named(id string) error {
	if id != "" {
		if r.Extensions == nil {
			r.Extensions = map[string]any{}
		}
		r.Extensions[ExtensionDocumentID] = id
	}
	if strings.TrimSpace(r.Query) == "" {
		r.Query = ""
		if r.Extensions[ExtensionPersistedQuery] == nil && r.Extensions[ExtensionDocumentID] == nil {
			return malformed("the request has no query")
		}
	}
	return nil
}

func (l Limits) readMaps(r *Request, variables, extensions json.RawMessage) error {
	if len(r.Query) > MaxQuery {
		return errs.New(errs.InvalidArgument, "QUERY_TOO_LARGE", "the query is longer than %d bytes", MaxQuery)
	}
	if len(variables) > l.Variables {
		return errs.New(errs.InvalidArgument, "VARIABLES_TOO_LARGE", "the variables are larger than %d bytes", l.Variables)
	}
	if err := readMap("variables", variables, &r.Variables); err != nil {
		return err
	}
	return readMap("extensions", extensions, &r.Extensions)
}

func readText(name string, text json.RawMessage, to *string) error {
	if len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, to); err != nil { // null leaves it empty
		return malformed("%s must be a text", name).Because(err)
	}
	return nil
}

func readMap(name string, text json.RawMessage, to *map[string]any) error {
	if len(text) == 0 || string(text) == "null" || string(text) == "{}" {
		return nil
	}
	if twice, is := jsontext.Duplicate(text); is {
		return malformed("%s has %.40q twice in one object", name, twice)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(to); err != nil {
		return malformed("%s must be a JSON object", name).Because(err)
	}
	return nil
}

func malformed(format string, args ...any) *errs.Error {
	return errs.New(errs.InvalidArgument, "REQUEST_MALFORMED", format, args...)
}
