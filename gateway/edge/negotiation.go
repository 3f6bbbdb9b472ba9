package edge

import (
	"bytes"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// accepted returns the media type that the client prefers, the first of equals, and application/json without a
// preference. A specific media type precedes a range (RFC 9110, section 12.5.1).
func accepted(r *http.Request) string {
	header := r.Header["Accept"]
	switch { // the usual values
	case len(header) == 0 || len(header) == 1 && header[0] == "*/*":
		return mediaJSON
	case len(header) == 1 && (header[0] == mediaGraphQL || header[0] == mediaJSON):
		return header[0]
	}
	wishes := wishes{}
	for part := range strings.SplitSeq(strings.Join(header, ","), ",") {
		media, params, err := mime.ParseMediaType(part)
		if _, again := wishes[media]; err == nil && !again {
			wishes[media] = wish{weight: weight(params["q"]), place: len(wishes)}
		}
	}
	best, most := mediaJSON, wish{}
	for _, media := range []string{mediaJSON, mediaGraphQL} {
		w := wishes.of(media)
		if w.weight > most.weight || w.weight > 0 && w.weight == most.weight && w.place < most.place {
			best, most = media, w
		}
	}
	return best
}

// wishes are the client's preferences by media type.
type wishes map[string]wish

// wish is a quality and its position in the list.
type wish struct {
	weight float64
	place  int
}

func (all wishes) of(media string) wish {
	for _, said := range []string{media, "application/*", "*/*"} {
		if w, is := all[said]; is {
			return w
		}
	}
	return wish{}
}

// weight parses a quality value (RFC 9110, section 12.4.2): 1 when absent, 0 when invalid.
func weight(q string) float64 {
	if q == "" {
		return 1
	}
	w, err := strconv.ParseFloat(q, 64)
	if err != nil || !(w >= 0 && w <= 1) {
		return 0
	}
	return w
}

// acceptsGzip reports whether the client accepts gzip at least as much as plain text.
func acceptsGzip(r *http.Request) bool {
	gzipped, plain, any := -1.0, -1.0, -1.0
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, params, _ := strings.Cut(part, ";")
		_, q, _ := strings.Cut(strings.TrimSpace(params), "q=")
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			gzipped = weight(q)
		case "identity":
			plain = weight(q)
		case "*":
			any = weight(q)
		}
	}
	if gzipped < 0 {
		gzipped = any
	}
	return gzipped > 0 && gzipped >= plain
}

// compressed compresses a text that is long enough, if the client accepts it. Mutations are never compressed: a
// secret in the response and input of the client in one compressed text would leak through its length.
func (t transport) compressed(w http.ResponseWriter, r *http.Request, parts [][]byte) [][]byte {
	if t.compress == 0 {
		return parts
	}
	w.Header().Add("Vary", "Accept-Encoding")
	length := 0
	for _, part := range parts {
		length += len(part)
	}
	if length < t.compress || !acceptsGzip(r) {
		return parts
	}
	out := bytes.NewBuffer(make([]byte, 0, length/4))
	writer := t.writers.Get().(*gzip.Writer)
	defer t.writers.Put(writer)
	writer.Reset(out)
	for _, part := range parts {
		_, _ = writer.Write(part) // a buffer never fails
	}
	_ = writer.Close()
	w.Header().Set("Content-Encoding", "gzip")
	return [][]byte{out.Bytes()}
}

// gzipWriters pools writers, which are much larger than most responses.
func gzipWriters() *sync.Pool {
	return &sync.Pool{New: func() any {
		writer, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
		return writer
	}}
}
