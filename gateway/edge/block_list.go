package edge

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/rs/cors"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/edge/fastreject"
	"github.com/sluicehq/sluice/gateway/live"
	"github.com/sluicehq/sluice/internal/caller"
)

// blockList is the outermost middleware. It refuses callers that retry too early before any other work: their bodies
// are not read, and only counters record them.
//
// It identifies callers by the credentials that the authenticator has cached. Other requests pass: admission checks
// the block list again when the caller is known.
type blockList struct {
	next      http.Handler
	auth      *auth.Authenticator
	admission *admission.Controller
	proxies   []netip.Prefix
	rules     *cors.Cors
	timeout   time.Duration // for a body that is not read
	fixed     []header
	page      []header
}

func (o Options) blockList(parts Parts, rules *cors.Cors, next http.Handler) http.Handler {
	fixed, page := securityHeaders()
	return &blockList{
		next: next, auth: parts.Auth, admission: parts.Admission, proxies: o.TrustedProxies,
		rules: rules, timeout: o.RequestTimeout, fixed: fixed, page: page,
	}
}

// ServeHTTP refuses the request of a blocked caller, and passes other requests on.
func (l *blockList) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !l.admission.AnyBlocked() || !isOperation(r) {
		l.next.ServeHTTP(w, r)
		return
	}
	presented, err := auth.FromRequest(r)
	by, known := l.auth.Cached(presented)
	if err != nil || !known {
		l.next.ServeHTTP(w, r)
		return
	}
	c := claim{presented, by, quota.KeyOf(by, addressOf(r, l.proxies))}
	left, wait := l.admission.Block(by, c.key)
	if wait <= 0 {
		l.next.ServeHTTP(w, r)
		return
	}
	l.refuse(w, r, c, rejection{left: left, wait: wait})
}

// claim is the caller of a request.
type claim struct {
	presented auth.Credentials
	by        caller.Caller
	key       string
}

func isOperation(r *http.Request) bool {
	return r.URL.Path == graphQLPath && (r.Method == http.MethodPost || r.Method == http.MethodGet) && r.Header["Upgrade"] == nil
}

// refuse writes the refusal with the headers of the other middleware. The headers that protect pages are absent:
// browsers do not show this response as a page.
func (l *blockList) refuse(w http.ResponseWriter, r *http.Request, c claim, refused rejection) {
	setDeadlines(w, r, l.timeout)
	refused.id, refused.showsCost = requestID(r), admission.ShowsCost(c.by, r.Header)
	media, h := accepted(r), w.Header()
	set(h, l.fixed)
	if !c.by.Known() && r.Header.Get("Content-Type") != mediaJSON {
		set(h, l.page)
	}
	policy, rest := admission.RateLimit(refused.left, refused.wait)
	values := [...]string{refused.id, media + "; charset=utf-8", policy, rest, strconv.Itoa(admission.Seconds(refused.wait))}
	for i, name := range [...]string{requestIDHeader, "Content-Type", "Ratelimit-Policy", headerLimit, headerRetry} {
		h[name] = values[i : i+1 : i+1]
	}
	allowOrigin(l.rules, w, r)
	status := http.StatusTooManyRequests
	if media == mediaJSON && !live.IsEventStream(r) {
		status = http.StatusOK // GraphQL over HTTP requires 200 for application/json
	}
	fastreject.Repeat(r, func() fastreject.Responder {
		return l.repeated(status, h, r.Header.Get(requestIDHeader) == refused.id, c, refused)
	})
	w.WriteHeader(status)
	_, _ = w.Write(refused.append(make([]byte, 0, 512))) // the client may have disconnected
}

// rejection is the content of a refusal by the block list.
type rejection struct {
	id        string // of the request
	left      bff.Budget
	wait      time.Duration
	showsCost bool
}

// append appends the body of the refusal. It has no requested cost, because the request was not read.
func (refused rejection) append(text []byte) []byte {
	text = append(text, `{"errors":[{"message":"`...)
	text = append(text, admission.BlockedMessage(refused.wait)...)
	text = append(text, `","extensions":{"code":"RESOURCE_EXHAUSTED","reason":"`+quota.ReasonExhausted+`","requestId":"`...)
	text = append(text, refused.id...) // letters, digits and few marks
	text = append(text, `","retryAfterMs":`...)
	text = strconv.AppendInt(text, refused.wait.Milliseconds(), 10)
	text = append(text, `,"retryable":true}}]`...)
	if refused.showsCost {
		text = append(text, `,"extensions":{"cost":{"actual":0,"limit":`...)
		text = strconv.AppendInt(text, int64(refused.left.Limit), 10)
		text = append(text, `,"remaining":`...)
		text = strconv.AppendInt(text, int64(refused.left.Remaining), 10)
		text = append(text, `,"restorePerSecond":`...)
		text = strconv.AppendFloat(text, refused.left.RestorePerSecond, 'f', -1, 64)
		text = append(text, "}}"...)
	}
	return append(text, '}')
}
