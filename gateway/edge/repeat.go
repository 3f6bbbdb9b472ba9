package edge

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/gateway/edge/fastreject"
)

// refusal is what is told of one.
type refusal struct {
	id    string // of the request
	left  bff.Budget
	wait  time.Duration
	costs bool // are told
}

// append gives the text of the refusal. What the request would have cost is not told: nobody has read it.
func (told refusal) append(text []byte) []byte {
	text = append(text, `{"errors":[{"message":"you keep coming back before you were told to: come back in `...)
	text = append(text, told.wait.String()...)
	text = append(text, `","extensions":{"code":"RESOURCE_EXHAUSTED","reason":"`+quota.ReasonExhausted+`","requestId":"`...)
	text = append(text, told.id...) // letters, digits and few marks
	text = append(text, `","retryAfterMs":`...)
	text = strconv.AppendInt(text, told.wait.Milliseconds(), 10)
	text = append(text, `,"retryable":true}}]`...)
	if told.costs {
		text = append(text, `,"extensions":{"cost":{"actual":0,"limit":`...)
		text = strconv.AppendInt(text, int64(told.left.Limit), 10)
		text = append(text, `,"remaining":`...)
		text = strconv.AppendInt(text, int64(told.left.Remaining), 10)
		text = append(text, `,"restorePerSecond":`...)
		text = strconv.AppendFloat(text, told.left.RestorePerSecond, 'f', -1, 64)
		text = append(text, "}}"...)
	}
	return append(text, '}')
}

// These headers are not the same in all answers to a caller.
const (
	headerLimit = "Ratelimit" // as http.Header has it
	headerRetry = "Retry-After"
)

// again refuses the same request once more where it comes in, with the same headers but for what has
// changed since.
func (d *door) again(status int, h http.Header, named bool, by claim, told refusal) fastreject.Answer {
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	_ = h.WriteSubset(&head, map[string]bool{requestIDHeader: true, headerLimit: true, headerRetry: true}) // a buffer takes everything
	var body []byte
	n := 0
	return func(text []byte) ([]byte, bool) {
		who, known := d.auth.Cached(by.presented)
		if !known {
			return text, false
		}
		now, shut := d.shut(who, by.key)
		if !shut {
			return text, false
		}
		now.id, now.costs = told.id, told.costs
		if n++; !named {
			now.id += "." + strconv.Itoa(n) // as good as another, and much cheaper
		}
		body = now.append(body[:0])
		_, rest := rateLimit(now.left, now.wait)
		text = append(text, head.Bytes()...)
		text = appendHeader(text, requestIDHeader, now.id)
		text = appendHeader(text, headerLimit, rest)
		text = appendHeader(text, headerRetry, strconv.Itoa(seconds(now.wait)))
		text = append(time.Now().UTC().AppendFormat(append(text, "Date: "...), http.TimeFormat), "\r\nContent-Length: "...)
		text = append(strconv.AppendInt(text, int64(len(body)), 10), "\r\n\r\n"...)
		return append(text, body...), true
	}
}

func appendHeader(text []byte, name, value string) []byte {
	return append(append(append(append(text, name...), ": "...), value...), "\r\n"...)
}
