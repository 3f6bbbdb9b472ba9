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
	"github.com/rs/cors"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"

	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/live"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/obs"
)

const requestIDHeader = "X-Request-Id"

// identified sets the request id: that of the client when it is valid, else a new one.
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

// recovered isolates a panic in one request from other requests.
func (o Options) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p) // net/http closes the connection
			}
			o.Logger.ErrorContext(r.Context(), "panic in a request", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			refuse(w, r, fmt.Errorf("panic: %v", p))
		}()
		next.ServeHTTP(w, r)
	})
}

// observed traces, measures and logs the request.
func (o Options) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := o.Tracing.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := o.Tracing.StartServer(ctx, r.Method+" "+r.URL.Path)
		defer span.End()
		started := time.Now()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		if ctx != r.Context() {
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(seen, r)
		if span.IsRecording() {
			span.SetAttributes(attribute.Int("http.response.status_code", seen.status))
		}
		if o.Logger.Enabled(ctx, slog.LevelDebug) { // avoids allocations when debug logs are off
			o.Logger.DebugContext(ctx, "request", "method", r.Method, "path", r.URL.Path, "status", seen.status,
				"duration", time.Since(started))
		}
	})
}

// statusWriter records the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap serves http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// header is a constant response header.
type header struct {
	name   string // in canonical form
	values []string
}

// set sets headers. All responses share their values, which never change.
func set(h http.Header, fixed []header) {
	for _, one := range fixed {
		h[one.name] = one.values
	}
}

// securityHeaders returns the headers of all responses, and those of responses that a browser may show as a page.
func securityHeaders() (any, page []header) {
	any = []header{
		{"X-Content-Type-Options", []string{"nosniff"}},
		{"Content-Security-Policy", []string{"default-src 'none'; frame-ancestors 'none'"}}, // GraphiQL has its own
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

// secured sets the security headers. Handlers may relax them.
func secured(next http.Handler) http.Handler {
	fixed := slices.Concat(securityHeaders())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		set(w.Header(), fixed)
		next.ServeHTTP(w, r)
	})
}

// hosted refuses a foreign Host: by DNS rebinding a page can have its own name resolve to this machine, and its
// requests are then of the same origin.
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

// timed bounds the time of every request but streams, which gateway/live bounds.
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

// setDeadlines sets the deadlines of the connection: one timeout for the body, also when net/http drains it, and one
// more for a client that reads slowly.
func setDeadlines(w http.ResponseWriter, r *http.Request, timeout time.Duration) {
	control, now := http.NewResponseController(w), time.Now() // some connections have no deadlines
	if r.ContentLength != 0 {
		_ = control.SetReadDeadline(now.Add(timeout))
	}
	_ = control.SetWriteDeadline(now.Add(2 * timeout))
}

// crossOriginRules are the rules for pages of the listed origins, which are compared exactly; "*" is any origin.
func (o Options) crossOriginRules() *cors.Cors {
	return cors.New(cors.Options{
		AllowOriginFunc: func(origin string) bool {
			return slices.Contains(o.CORSOrigins, origin) || slices.Contains(o.CORSOrigins, "*")
		},
		AllowedMethods: []string{http.MethodGet, http.MethodPost},
		AllowedHeaders: append([]string{"Authorization", "Content-Type", "Last-Event-ID", "X-API-Key", admission.CostHeader, pipeline.CacheHeader, requestIDHeader}, o.CORSHeaders...),
		ExposedHeaders: []string{requestIDHeader, "RateLimit", "RateLimit-Policy", "Retry-After"},
		MaxAge:         7200,
	})
}

// allowOrigin responds to a preflight, or lets the page that sent the request read its response.
func allowOrigin(rules *cors.Cors, w http.ResponseWriter, r *http.Request) {
	rules.HandlerFunc(w, r)
	if w.Header().Get("Access-Control-Allow-Origin") != "" {
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
}

// crossOrigin implements CORS. Credentials are in headers that pages must set, never in cookies, so another origin
// cannot act as the user.
func crossOrigin(rules *cors.Cors, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowOrigin(rules, w, r)
		switch {
		case r.Method == http.MethodOptions:
			if r.Header.Get("Access-Control-Request-Method") == "" { // it is no preflight
				w.WriteHeader(http.StatusNoContent)
			}
		case fromElsewhere(r) && !rules.OriginAllowed(r):
			refuse(w, r, errs.New(errs.PermissionDenied, "CROSS_SITE_REFUSED", "pages of this origin may not call the API"))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// fromElsewhere reports whether another site caused the request. Browsers send some requests, such as images and
// links, without a preflight.
func fromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// authenticated adds the caller and the client's address to the context before the document is parsed. The address
// identifies anonymous callers.
func (o Options) authenticated(authenticator *auth.Authenticator, control *admission.Controller, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		credentials, err := auth.FromRequest(r)
		if err != nil {
			refuse(w, r, err)
			return
		}
		ctx := quota.From(r.Context(), addressOf(r, o.TrustedProxies))
		verify := func() (caller.Caller, error) { return authenticator.Caller(ctx, credentials) }
		var who caller.Caller
		if credentials != (auth.Credentials{}) {
			who, err = control.Verify(ctx, verify)
		} else {
			who, err = verify()
		}
		if err != nil {
			o.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(caller.NewContext(ctx, who)))
	})
}

// refuse logs the reason, which the client does not receive.
func (o Options) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errs.From(err).Code == errs.Internal {
		o.Logger.ErrorContext(r.Context(), "a request failed", "path", r.URL.Path, "error", err.Error())
	}
	refuse(w, r, err)
}

// addressOf returns the client's address: that of the connection, or, behind trusted proxies, the last address in
// X-Forwarded-For that is not a trusted proxy. Earlier addresses may be forged.
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
