package edge

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/bff/abuse"
	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/gateway/edge/fastreject"
	"github.com/sluicehq/sluice/gateway/live"
	"github.com/sluicehq/sluice/graph/pipeline"
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
	abuse   *abuse.Callers // nil watches nobody
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
		next: next, auth: parts.Auth, quota: parts.Quota, abuse: parts.Abuse, proxies: o.TrustedProxies,
		origins: originsOf(o.CORSOrigins), timeout: o.RequestTimeout, fixed: fixed, page: page,
	}
}

// ServeHTTP refuses, or goes on.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !d.quota.ShutsAnybody() || !asks(r) {
		d.next.ServeHTTP(w, r)
		return
	}
	presented, err := auth.FromRequest(r)
	who, known := d.auth.Cached(presented)
	if err != nil || !known {
		d.next.ServeHTTP(w, r)
		return
	}
	by := claim{presented, who, quota.KeyOf(who, addressOf(r, d.proxies))}
	told, shut := d.shut(who, by.key)
	if !shut {
		d.next.ServeHTTP(w, r)
		return
	}
	d.refuse(w, r, by, told)
}

// claim is what is known of whose a request is.
type claim struct {
	presented auth.Credentials
	who       caller.Caller
	key       string
}

// asks tells requests to the API from others, and from connections, which have a protocol of their own.
func asks(r *http.Request) bool {
	return r.URL.Path == graphQLPath && (r.Method == http.MethodPost || r.Method == http.MethodGet) && r.Header["Upgrade"] == nil
}

// shut gives the refusal of a caller, if it is to be refused now, and counts it.
func (d *door) shut(who caller.Caller, key string) (told refusal, shut bool) {
	told.left, told.wait = d.quota.Shut(who, key)
	if told.wait <= 0 {
		return told, false
	}
	if d.abuse != nil {
		d.abuse.Refused(who, key, quota.ReasonExhausted)
	}
	return told, true
}

// refuse answers as the rest of the entrance would. Of its headers those of pages are left out where the
// answer cannot be one: no browser sends credentials in headers, or JSON, but for a script.
func (d *door) refuse(w http.ResponseWriter, r *http.Request, by claim, told refusal) {
	bounded(w, r, d.timeout)
	told.id, told.costs = requestID(r), pipeline.WantsCost(by.who, r.Header)
	media, h := accepted(r), w.Header()
	set(h, d.fixed)
	if !by.who.Known() && r.Header.Get("Content-Type") != mediaJSON {
		set(h, d.page)
	}
	policy, rest := rateLimit(told.left, told.wait)
	values := [...]string{told.id, media + "; charset=utf-8", policy, rest, strconv.Itoa(seconds(told.wait))}
	for i, name := range [...]string{requestIDHeader, "Content-Type", "Ratelimit-Policy", headerLimit, headerRetry} {
		h[name] = values[i : i+1 : i+1]
	}
	d.origins.tell(h, r)
	status := http.StatusTooManyRequests
	if media == mediaJSON && !live.IsEventStream(r) {
		status = http.StatusOK // as the specification wants of this media type for an answer in GraphQL's form
	}
	fastreject.Again(r, func() fastreject.Answer {
		return d.again(status, h, r.Header.Get(requestIDHeader) == told.id, by, told)
	})
	w.WriteHeader(status)
	_, _ = w.Write(told.append(make([]byte, 0, 512))) // a client that went away needs no answer
}
