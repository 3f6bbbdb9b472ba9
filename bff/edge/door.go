package edge

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/conduct"
	"github.com/sluicehq/sluice/bff/live"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/internal/caller"
)

// door refuses callers that keep coming back before they were told to, before anything else is done for
// them: their bodies are not read, nothing is traced or written down, and only counters tell of it.
//
// It stands before the rest of the entrance and knows only what the rest has found out: who it cannot
// tell, and whoever was never told to wait, goes on to where all is checked.
type door struct {
	next    http.Handler
	auth    *auth.Authenticator
	quota   *quota.Callers
	conduct *conduct.Callers // nil watches nobody
	proxies []netip.Prefix
	origins origins
	timeout time.Duration // of a body that nobody reads
	fixed   []header
	page    []header
}

func (o Options) doorOf(parts Parts, next http.Handler) http.Handler {
	if parts.Quota == nil {
		return next
	}
	fixed, page := closing()
	return &door{
		next: next, auth: parts.Auth, quota: parts.Quota, conduct: parts.Conduct, proxies: o.TrustedProxies,
		origins: originsOf(o.CORSOrigins), timeout: o.RequestTimeout, fixed: fixed, page: page,
	}
}

// ServeHTTP refuses, or goes on.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !asks(r) {
		d.next.ServeHTTP(w, r)
		return
	}
	credentials, err := auth.FromRequest(r)
	who, known := d.auth.Known(credentials)
	if err != nil || !known {
		d.next.ServeHTTP(w, r)
		return
	}
	key := quota.KeyOf(who, addressOf(r, d.proxies))
	left, wait := d.quota.Shut(who, key)
	if wait <= 0 {
		d.next.ServeHTTP(w, r)
		return
	}
	if d.conduct != nil {
		d.conduct.Refused(who, key, quota.ReasonExhausted)
	}
	d.refuse(w, r, who, left, wait)
}

// asks tells requests to the API from others, and from connections, which have a protocol of their own.
func asks(r *http.Request) bool {
	return r.URL.Path == graphQLPath && (r.Method == http.MethodPost || r.Method == http.MethodGet) && r.Header["Upgrade"] == nil
}

// refuse answers as the rest of the entrance would. Of its headers those of pages are left out where the
// answer cannot be one: no browser sends credentials in headers, or JSON, but for a script.
func (d *door) refuse(w http.ResponseWriter, r *http.Request, who caller.Caller, left bff.Budget, wait time.Duration) {
	bounded(w, r, d.timeout)
	id, media, h := requestID(r), accepted(r), w.Header()
	set(h, d.fixed)
	if !who.Known() && r.Header.Get("Content-Type") != mediaJSON {
		set(h, d.page)
	}
	policy, rest := rateLimit(left, wait)
	values := [...]string{id, media + "; charset=utf-8", policy, rest, strconv.Itoa(seconds(wait))}
	for i, name := range [...]string{requestIDHeader, "Content-Type", "Ratelimit-Policy", "Ratelimit", "Retry-After"} {
		h[name] = values[i : i+1 : i+1]
	}
	d.origins.tell(h, r)
	status := http.StatusTooManyRequests
	if media == mediaJSON && !live.IsEventStream(r) {
		status = http.StatusOK // as the specification wants of this media type for an answer in GraphQL's form
	}
	w.WriteHeader(status)
	_, _ = w.Write(shut(id, left, wait, graph.WantsCost(who, r.Header))) // a client that went away needs no answer
}

// shut is the text of a refusal. What the request would have cost is not told: nobody has read it.
func shut(id string, left bff.Budget, wait time.Duration, costs bool) []byte {
	text := make([]byte, 0, 512)
	text = append(text, `{"errors":[{"message":"you keep coming back before you were told to: come back in `...)
	text = append(text, wait.String()...)
	text = append(text, `","extensions":{"code":"RESOURCE_EXHAUSTED","reason":"`+quota.ReasonExhausted+`","requestId":"`...)
	text = append(text, id...) // letters, digits and few marks
	text = append(text, `","retryAfterMs":`...)
	text = strconv.AppendInt(text, wait.Milliseconds(), 10)
	text = append(text, `,"retryable":true}}]`...)
	if costs {
		text = append(text, `,"extensions":{"cost":{"actual":0,"limit":`...)
		text = strconv.AppendInt(text, int64(left.Limit), 10)
		text = append(text, `,"remaining":`...)
		text = strconv.AppendInt(text, int64(left.Remaining), 10)
		text = append(text, `,"restorePerSecond":`...)
		text = strconv.AppendFloat(text, left.RestorePerSecond, 'f', -1, 64)
		text = append(text, "}}"...)
	}
	return append(text, '}')
}
