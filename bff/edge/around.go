package edge

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/conduct"
	"github.com/sluicehq/sluice/bff/live"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/obs"
)

// requestIDHeader names the request both ways.
const requestIDHeader = "X-Request-Id"

// identified gives the request an id: the one that it brings, when that is a sane one.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if !saneID(id) {
			id = uuid.NewString()
		}
		w.Header().Set(requestIDHeader, id)
		next.ServeHTTP(w, r.WithContext(obs.WithRequestID(r.Context(), id)))
	})
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
		span.SetAttributes(attribute.Int("http.response.status_code", seen.status))
		o.Logger.DebugContext(ctx, "request", "method", r.Method, "path", r.URL.Path, "status", seen.status,
			"duration", time.Since(started))
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

// secured sets the headers that keep browsers from being talked into something.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'") // GraphiQL has one of its own
		h.Set("Cache-Control", "no-store")                                             // so have files and public keys
		next.ServeHTTP(w, r)
	})
}

// timed ends every request in time, but for those that stay: bff/live has times of its own for them.
// A body is waited for as long as a request may take, also by net/http when it was not read, and a
// client that does not read its answer as long again.
func (o Options) timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w) // not all connections have deadlines
		if r.ContentLength != 0 {
			_ = control.SetReadDeadline(time.Now().Add(o.RequestTimeout))
		}
		if r.URL.Path == "/graphql" && (websocket.IsWebSocketUpgrade(r) || live.IsEventStream(r)) {
			_ = control.SetWriteDeadline(time.Time{}) // that of the request before it
			next.ServeHTTP(w, r)
			return
		}
		_ = control.SetWriteDeadline(time.Now().Add(2 * o.RequestTimeout))
		ctx, cancel := context.WithTimeout(r.Context(), o.RequestTimeout)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// crossOrigin lets pages of the listed origins call the API. Credentials travel in headers that a
// page must set itself, never in cookies, so a page of another origin can do nothing in a user's name.
func crossOrigin(origins []string, next http.Handler) http.Handler {
	allowed := map[string]bool{}
	for _, origin := range origins {
		allowed[origin] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		w.Header().Add("Vary", "Origin")
		if origin != "" && (allowed[origin] || allowed["*"]) {
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Access-Control-Expose-Headers", requestIDHeader+", RateLimit, RateLimit-Policy, Retry-After")
			w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		}
		if r.Method != http.MethodOptions {
			if fromElsewhere(r) && !allowed["*"] && !allowed[origin] {
				refuse(w, r, errs.New(errs.PermissionDenied, "CROSS_SITE_REFUSED", "pages of this origin may not call the API"))
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID, X-API-Key, "+graph.CostHeader+", "+graph.CacheHeader+", "+requestIDHeader)
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
//
// A network that keeps presenting what does not hold is refused before anything is verified.
func (o Options) authenticated(authenticator *auth.Authenticator, watched *conduct.Callers, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		credentials, err := auth.FromRequest(r)
		if err != nil {
			refuse(w, r, err)
			return
		}
		presents := watched != nil && credentials != (auth.Credentials{})
		if presents {
			if err := watched.Admit(r.Context(), bff.KindCredentials); err != nil {
				watched.Note(r.Context(), bff.Outcome{Kind: bff.KindCredentials, Refused: conduct.ReasonTripped})
				refuse(w, r, err)
				return
			}
		}
		who, err := authenticator.Caller(r.Context(), credentials)
		if presents && (err == nil || errs.From(err).Code == errs.Unauthenticated) {
			watched.Presented(r.Context(), err == nil)
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
