package edge

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/pipeline"
)

// appendResult appends the result of an operation that was refused, or that has a response.
func appendResult(ctx context.Context, text []byte, o *admission.Operation) ([]byte, error) {
	if o.Refusal != nil {
		return graph.AppendResult(text, refusalOf(ctx, o.Refusal), false)
	}
	return graph.AppendResult(text, o.Response, o.Ran)
}

func refusalOf(ctx context.Context, err error) *graphql.Response {
	return &graphql.Response{Errors: gqlerror.List{graph.Public(ctx, err)}}
}

func isQuery(o *admission.Operation) bool {
	return o.Ran && o.Context.Operation.Operation == ast.Query
}

func (t transport) writeResponse(w http.ResponseWriter, r *http.Request, o *admission.Operation) {
	status := http.StatusOK
	if !o.Ran {
		status = requestStatus(o.Response.Errors)
	}
	media := accepted(r)
	if media == mediaJSON && status < http.StatusInternalServerError && status != http.StatusMethodNotAllowed {
		status = http.StatusOK // GraphQL over HTTP requires 200 for application/json
	}
	t.send(w, r, isQuery(o), status, media, func(text []byte) ([]byte, error) {
		text, err := appendResult(r.Context(), text, o)
		if err == nil && o.Ran && len(o.Response.Errors) == 0 {
			setFreshness(w.Header(), pipeline.FreshnessOf(o.Context))
		}
		return text, err
	})
}

// send writes a body from a pooled buffer, compressed if it is long enough and the client accepts it. Mutations are
// never compressed: a secret in the response and input of the client in one compressed text would leak through its
// length.
func (t transport) send(w http.ResponseWriter, r *http.Request, query bool, status int, media string, body func([]byte) ([]byte, error)) {
	buffer := t.buffers.Get().(*[]byte)
	defer t.buffers.Put(buffer)
	text, err := body((*buffer)[:0])
	if err != nil {
		t.logger.ErrorContext(r.Context(), "a response is no JSON", "error", err.Error())
		refuse(w, r, fmt.Errorf("write the response: %w", err))
		return
	}
	if cap(text) <= maxPooledBuffer {
		*buffer = text
	}
	if !query || t.compressFrom == 0 {
		write(w, status, media, text)
		return
	}
	if len(text) < t.compressFrom {
		w.Header().Add("Vary", "Accept-Encoding")
		write(w, status, media, text)
		return
	}
	t.compressed(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { write(w, status, media, text) }))(w, r)
}

// maxPooledBuffer bounds the buffers that are reused, in bytes.
const maxPooledBuffer = 256 << 10

// compressor returns middleware that encodes responses by zstd or gzip.
func compressor(from int) func(http.Handler) http.HandlerFunc {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(from), gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.ContentTypeFilter(gzhttp.CompressAllContentTypeFilter))
	if err != nil {
		panic(err) // the options are constants, but for a size that has no bounds
	}
	return wrap
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

func write(w http.ResponseWriter, status int, media string, text []byte) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="sluice"`)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Header().Set("Content-Type", media+"; charset=utf-8")
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "no-store")
	}
	w.Header().Add("Vary", "Accept")
	w.WriteHeader(status)
	_, _ = w.Write(text) // the client may have disconnected
}
