package edge

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
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
