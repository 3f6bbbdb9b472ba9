package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/pipeline"
)

// answer is a response of the form that the specification has: data is absent when nothing ran.
type answer struct {
	Errors     gqlerror.List    `json:"errors,omitempty"`
	Data       *json.RawMessage `json:"data,omitempty"`
	Extensions map[string]any   `json:"extensions,omitempty"`
}

// answer is what the client is told of the operation.
func (one *turn) answer(ctx context.Context) answer {
	if one.refusal != nil {
		return answer{Errors: gqlerror.List{graph.Public(ctx, one.refusal)}}
	}
	out := answer{Errors: one.response.Errors, Extensions: one.response.Extensions}
	if one.ran {
		data := one.response.Data
		if len(data) == 0 {
			data = json.RawMessage("null")
		}
		out.Data = &data
	}
	return out
}

// isQuery tells whether what is answered came of a query.
func (one *turn) isQuery() bool { return one.ran && one.operation.Operation.Operation == ast.Query }

// writeResponse answers with what came of the operation.
func (t transport) writeResponse(w http.ResponseWriter, r *http.Request, one *turn) {
	out, status := one.answer(r.Context()), http.StatusOK
	if !one.ran {
		status = requestStatus(one.response.Errors)
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
	if one.ran && len(out.Errors) == 0 {
		tellFreshness(w.Header(), pipeline.FreshnessOf(one.operation))
	}
	if one.isQuery() {
		parts = t.compressed(w, r, parts)
	}
	write(w, status, media, parts...)
}

// tellFreshness sets Cache-Control as the schema's @cacheControl allows. What is not said to be fresh
// is not kept.
func tellFreshness(h http.Header, f pipeline.Freshness) {
	left := int(f.Left / time.Second)
	if left < 1 {
		return
	}
	scope := "public"
	if f.Private {
		scope = "private"
		h.Add("Vary", "Authorization, X-Api-Key")
	}
	h.Set("Cache-Control", scope+", max-age="+strconv.Itoa(left))
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
	text := slices.Concat(parts...) // one write: net/http would make one of each part, and copying is cheaper
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Header().Set("Content-Type", media+"; charset=utf-8")
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "no-store")
	}
	w.Header().Add("Vary", "Accept")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that went away needs no answer
}
