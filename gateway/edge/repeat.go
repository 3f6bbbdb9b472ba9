package edge

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/edge/fastreject"
)

// Headers that differ between refusals of one caller.
const (
	headerLimit = "Ratelimit" // canonical form
	headerRetry = "Retry-After"
)

// repeated returns the responder to the same request on its connection. It updates only the headers that change.
func (l *blockList) repeated(status int, h http.Header, named bool, c claim, refused rejection) fastreject.Responder {
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	_ = h.WriteSubset(&head, map[string]bool{requestIDHeader: true, headerLimit: true, headerRetry: true}) // a buffer never fails
	var body []byte
	n := 0
	return func(text []byte) ([]byte, bool) {
		by, known := l.auth.Cached(c.presented)
		if !known {
			return text, false
		}
		now := rejection{id: refused.id, showsCost: refused.showsCost}
		if now.left, now.wait = l.admission.Block(by, c.key); now.wait <= 0 {
			return text, false
		}
		if n++; !named {
			now.id += "." + strconv.Itoa(n) // unique, and cheaper than a new id
		}
		body = now.append(body[:0])
		_, rest := admission.RateLimit(now.left, now.wait)
		text = append(text, head.Bytes()...)
		text = appendHeader(text, requestIDHeader, now.id)
		text = appendHeader(text, headerLimit, rest)
		text = appendHeader(text, headerRetry, strconv.Itoa(admission.Seconds(now.wait)))
		text = append(time.Now().UTC().AppendFormat(append(text, "Date: "...), http.TimeFormat), "\r\nContent-Length: "...)
		text = append(strconv.AppendInt(text, int64(len(body)), 10), "\r\n\r\n"...)
		return append(text, body...), true
	}
}

func appendHeader(text []byte, name, value string) []byte {
	return append(append(append(append(text, name...), ": "...), value...), "\r\n"...)
}
