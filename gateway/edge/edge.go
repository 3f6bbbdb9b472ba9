// Package edge is the HTTP server: routes, middleware, content negotiation, health.
//
// It promises that every request ends before its deadline, that a body never exceeds its limit, that invalid
// credentials are refused before a document is parsed, and that every error is a GraphQL response with the request
// id.
package edge

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/media"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/gqlrequest"
	"github.com/sluicehq/sluice/gateway/live"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/web"
)

// Options are the settings of the server.
type Options struct {
	RequestTimeout time.Duration     // deadline of a whole request
	MaxBody        int64             // bytes
	Requests       gqlrequest.Limits // limits of the JSON; zero for the usual ones
	CompressFrom   int               // minimum bytes of a compressed response; 0 never compresses
	Hosts          []string          // names in Host that are accepted, beside addresses and localhost; nil accepts every Host
	GraphiQL       bool              // serves the page
	DemoIdentities bool              // the page offers them
	Introspection  bool              // every caller may read the schema
	CORSOrigins    []string          // "*" allows all
	CORSHeaders    []string          // further request headers that these origins may send
	TrustedProxies []netip.Prefix
	Logger         *slog.Logger
	Tracing        *obs.Tracing
	Registry       *prometheus.Registry // nil exposes no metrics
}

// Parts are the components that the server serves.
type Parts struct {
	GraphQL   *handler.Server
	Admission *admission.Controller // nil uses the one of GraphQL
	Auth      *auth.Authenticator
	KeySet    func(ctx context.Context) ([]byte, error)
	Health    *Health
	Live      *live.Hub    // nil disables subscriptions
	Images    http.Handler // nil disables images
}

// New returns the handler of all routes.
func New(parts Parts, options Options) http.Handler {
	if options.Requests == (gqlrequest.Limits{}) {
		options.Requests = gqlrequest.Usual()
	}
	plain := newTransport(options, parts.Admission)
	if parts.Live != nil {
		parts.GraphQL.AddTransport(parts.Live.WebSocket(options.refuse))
		parts.GraphQL.AddTransport(parts.Live.EventStream(plain.read, options.refuse))
	}
	parts.GraphQL.AddTransport(plain)
	mux := http.NewServeMux()
	rules := options.crossOriginRules()
	mux.Handle(graphQLPath, crossOrigin(rules, wellFormed(options.authenticated(parts.Auth, parts.Admission, parts.GraphQL))))
	mux.Handle("GET /schema.graphql", crossOrigin(rules, options.authenticated(parts.Auth, parts.Admission, options.schema())))
	if parts.Images != nil {
		mux.Handle(media.Path, parts.Images)
	}
	if options.GraphiQL {
		mux.Handle("GET /graphiql/", graphiQL())
		mux.HandleFunc("GET /graphiql/settings.json", options.graphiQLSettings)
		mux.Handle("/graphiql", http.RedirectHandler("/graphiql/", http.StatusMovedPermanently))
		mux.Handle("GET /{$}", http.RedirectHandler("/graphiql/", http.StatusTemporaryRedirect))
	}
	mux.HandleFunc("GET /healthz", alive)
	mux.HandleFunc("GET /readyz", parts.Health.ready)
	mux.HandleFunc("GET /.well-known/jwks.json", options.keySet(parts.KeySet))
	if options.Registry != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(options.Registry, promhttp.HandlerOpts{}))
	}
	return options.blockList(parts, rules, options.middleware(mux))
}

const graphQLPath = "/graphql"

// middleware wraps the handler in the middleware of all routes, outermost first.
func (o Options) middleware(next http.Handler) http.Handler {
	return identified(o.recovered(o.observed(secured(o.hosted(o.timed(next))))))
}

func graphiQL() http.Handler {
	files := http.StripPrefix("/graphiql/", http.FileServerFS(web.GraphiQL()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/graphiql/")
		if name != "" && (!fs.ValidPath(name) || !isFile(name)) {
			http.NotFound(w, r) // the file server would list folders, and refuses some names
			return
		}
		w.Header().Set("Content-Security-Policy", web.GraphiQLContentSecurityPolicy)
		w.Header().Set("Cache-Control", cacheControl(r.URL.Path))
		files.ServeHTTP(w, r)
	})
}

// graphiQLSettings tells the page what it may offer.
func (o Options) graphiQLSettings(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]bool{"demo": o.DemoIdentities})
}

// schema serves the schema definition language to callers that may introspect.
func (o Options) schema() http.Handler {
	text := []byte(graph.SDL())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !o.Introspection && !caller.FromContext(r.Context()).Has(caller.SchemaRead) {
			o.refuse(w, r, document.IntrospectionDisabled())
			return
		}
		w.Header().Set("Content-Type", "application/graphql; charset=utf-8")
		_, _ = w.Write(text) // a client that went away needs no answer
	})
}

func isFile(name string) bool {
	about, err := fs.Stat(web.GraphiQL(), name)
	return err == nil && !about.IsDir()
}

// cacheControl lets clients cache assets, whose names change with their content, and revalidate all else.
func cacheControl(path string) string {
	if strings.HasPrefix(path, "/graphiql/assets/") {
		return "public, max-age=31536000, immutable"
	}
	return "no-cache"
}

func (o Options) keySet(read func(ctx context.Context) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		set, err := read(r.Context())
		if err != nil {
			o.refuse(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(set) // the client may have disconnected
	}
}
