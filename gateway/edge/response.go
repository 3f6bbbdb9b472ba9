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

	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/pipeline"
)

// result is an execution result of the specification: data is absent if nothing ran.
type result struct {
	Errors     gqlerror.List    `json:"errors,omitempty"`
	Data       *json.RawMessage `json:"data,omitempty"`
	Extensions map[string]any   `json:"extensions,omitempty"`
}

func resultOf(ctx context.Context, o *admission.Operation) result {
	if o.Refusal != nil {
		return result{Errors: gqlerror.List{graph.Public(ctx, o.Refusal)}}
	}
	out := result{Errors: o.Response.Errors, Extensions: o.Response.Extensions}
	if o.Ran {
		data := o.Response.Data
		if len(data) == 0 {
			data = json.RawMessage("null")
		}
		out.Data = &data
	}
	return out
}

func isQuery(o *admission.Operation) bool {
	return o.Ran && o.Context.Operation.Operation == ast.Query
}

func (t transport) writeResponse(w http.ResponseWriter, r *http.Request, o *admission.Operation) {
	out, status := resultOf(r.Context(), o), http.StatusOK
	if !o.Ran {
		status = requestStatus(o.Response.Errors)
	}
	media := accepted(r)
	if media == mediaJSON && status < http.StatusInternalServerError && status != http.StatusMethodNotAllowed {
		status = http.StatusOK // GraphQL over HTTP requires 200 for application/json
	}
	parts, err := out.encode()
	if err != nil {
		t.logger.ErrorContext(r.Context(), "a response is no JSON", "error", err.Error())
		refuse(w, r, fmt.Errorf("write the response: %w", err))
		return
	}
	if o.Ran && len(out.Errors) == 0 {
		setFreshness(w.Header(), pipeline.FreshnessOf(o.Context))
	}
	if isQuery(o) {
		parts = t.compressed(w, r, parts)
	}
	write(w, status, media, parts...)
}

// setFreshness sets Cache-Control as @cacheControl permits. A response without freshness is not stored.
func setFreshness(h http.Header, f pipeline.Freshness) {
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

// encode returns the JSON of the result in parts. The executor has already encoded the data.
func (a result) encode() ([][]byte, error) {
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
	text := slices.Concat(parts...) // net/http would write each part alone; copying is cheaper
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Header().Set("Content-Type", media+"; charset=utf-8")
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "no-store")
	}
	w.Header().Add("Vary", "Accept")
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client may have disconnected
}
