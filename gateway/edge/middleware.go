package edge

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/live"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/obs"
)

// requestIDHeader names the request both ways.
const requestIDHeader = "X-Request-Id"

// identified gives the request an id: the one that it brings, when that is a sane one.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestID(r)
		w.Header().Set(requestIDHeader, id)
		next.ServeHTTP(w, r.WithContext(obs.WithRequestID(r.Context(), id)))
	})
}

func requestID(r *http.Request) string {
	if id := r.Header.Get(requestIDHeader); saneID(id) {
		return id
	}
	return uuid.NewString()
}

func saneID(id string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:"
	return id != "" && len(id) <= 100 && strings.Trim(id, letters) == ""
}

// recovered keeps a fault of one request from the others.
func (o Options) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p) // how net/http is told to close the connection
			}
			o.Logger.ErrorContext(r.Context(), "panic in a request", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			refuse(w, r, fmt.Errorf("panic: %v", p))
		}()
		next.ServeHTTP(w, r)
	})
}

// observed traces the request and writes it down.
func (o Options) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := o.Tracing.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := o.Tracing.Start(ctx, r.Method+" "+r.URL.Path, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		started := time.Now()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r.WithContext(ctx))
		if span.IsRecording() {
			span.SetAttributes(attribute.Int("http.response.status_code", seen.status))
		}
		if o.Logger.Enabled(ctx, slog.LevelDebug) { // else nothing is made to be thrown away
			o.Logger.DebugContext(ctx, "request", "method", r.Method, "path", r.URL.Path, "status", seen.status,
				"duration", time.Since(started))
		}
	})
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// header is one that is the same in every answer.
type header struct {
	name   string // as in http.Header
	values []string
}

// set sets the headers as they are: their values are shared by all answers, and never changed.
func set(h http.Header, fixed []header) {
	for _, one := range fixed {
		h[one.name] = one.values
	}
}

// securityHeaders are the headers that keep browsers from being talked into something by any answer, and those
// that keep them from it by what may be shown as a page or be part of one.
func securityHeaders() (any, page []header) {
	any = []header{
		{"X-Content-Type-Options", []string{"nosniff"}},
		{"Content-Security-Policy", []string{"default-src 'none'; frame-ancestors 'none'"}}, // GraphiQL has one of its own
		{"Cache-Control", []string{"no-store"}},                                             // so have files and public keys
	}
	page = []header{
		{"X-Frame-Options", []string{"DENY"}},
		{"Referrer-Policy", []string{"no-referrer"}},
		{"Cross-Origin-Resource-Policy", []string{"same-origin"}},
		{"Cross-Origin-Opener-Policy", []string{"same-origin"}},
	}
	return any, page
}

// secured sets the headers that close what nobody has opened.
func secured(next http.Handler) http.Handler {
	fixed := slices.Concat(securityHeaders())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		set(w.Header(), fixed)
		next.ServeHTTP(w, r)
	})
}

// hosted refuses a Host that is a foreign name: a page can have its own name resolve to this machine (DNS rebinding),
// and its requests are then of the same origin.
func (o Options) hosted(next http.Handler) http.Handler {
	if o.Hosts == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !o.isOwnHost(r.Host) {
			refuse(w, r, errs.New(errs.PermissionDenied, "HOST_REFUSED", "the demo answers at its address, at localhost and at the host of http.public_url only"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (o Options) isOwnHost(host string) bool {
	name := strings.ToLower((&url.URL{Host: host}).Hostname())
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(o.Hosts, name)
}

// timed ends every request in time, but for those that stay: gateway/live has times of its own for them.
func (o Options) timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setDeadlines(w, r, o.RequestTimeout)
		if r.URL.Path == graphQLPath && (websocket.IsWebSocketUpgrade(r) || live.IsEventStream(r)) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), o.RequestTimeout)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// setDeadlines has a body waited for as long as a request may take, also by net/http when it was not read,
// and a client that does not read its answer as long again.
func setDeadlines(w http.ResponseWriter, r *http.Request, timeout time.Duration) {
	control, now := http.NewResponseController(w), time.Now() // not all connections have deadlines
	if r.ContentLength != 0 {
		_ = control.SetReadDeadline(now.Add(timeout))
	}
	_ = control.SetWriteDeadline(now.Add(2 * timeout))
}

// origins are those whose pages may call the API; "*" for all.
type origins map[string]bool

func originsOf(listed []string) origins {
	all := origins{}
	for _, origin := range listed {
		all[origin] = true
	}
	return all
}

// allow lets the page that asks read the answer, if it may call the API.
func (all origins) allow(h http.Header, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" || !all[origin] && !all["*"] {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", requestIDHeader+", RateLimit, RateLimit-Policy, Retry-After")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

// crossOrigin lets pages of the listed origins call the API. Credentials travel in headers that a
// page must set itself, never in cookies, so a page of another origin can do nothing in a user's name.
func crossOrigin(allowed origins, headers []string, next http.Handler) http.Handler {
	allowedHeaders := strings.Join(append([]string{"Authorization", "Content-Type", "Last-Event-ID", "X-API-Key", admission.CostHeader, pipeline.CacheHeader, requestIDHeader}, headers...), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		allowed.allow(w.Header(), r)
		if r.Method != http.MethodOptions {
			if fromElsewhere(r) && !allowed["*"] && !allowed[r.Header.Get("Origin")] {
				refuse(w, r, errs.New(errs.PermissionDenied, "CROSS_SITE_REFUSED", "pages of this origin may not call the API"))
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
		w.Header().Set("Access-Control-Allow-Headers", allowedHeaders)
		w.Header().Set("Access-Control-Max-Age", "7200")
		w.WriteHeader(http.StatusNoContent)
	})
}

// fromElsewhere tells whether a browser says that another site's page has caused the request. Browsers
// send some requests without asking first, as those for images and links.
func fromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// authenticated finds out who is calling, before anything is parsed.
func (o Options) authenticated(authenticator *auth.Authenticator, control *admission.Controller, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		credentials, err := auth.FromRequest(r)
		if err != nil {
			refuse(w, r, err)
			return
		}
		verify := func() (caller.Caller, error) { return authenticator.Caller(r.Context(), credentials) }
		var who caller.Caller
		if credentials != (auth.Credentials{}) {
			who, err = control.Verify(r.Context(), verify)
		} else {
			who, err = verify()
		}
		if err != nil {
			o.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(caller.NewContext(r.Context(), who)))
	})
}

// refuse writes down what the caller is not told.
func (o Options) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errs.From(err).Code == errs.Internal {
		o.Logger.ErrorContext(r.Context(), "a request failed", "path", r.URL.Path, "error", err.Error())
	}
	refuse(w, r, err)
}

// located adds the address of the client to the context, so that anonymous callers can be told apart.
func (o Options) located(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(quota.From(r.Context(), addressOf(r, o.TrustedProxies))))
	})
}

// addressOf returns the address of the client: that of its connection, or, when this is a trusted proxy, the last
// address in X-Forwarded-For that is none. Any address before it may be forged.
func addressOf(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	at := peer.Addr().Unmap()
	if !isIn(at, trusted) {
		return at
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && isIn(at, trusted); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		at = hop.Unmap()
	}
	return at
}

func isIn(address netip.Addr, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(address.WithZone("")) })
}
