package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/guard"
	"github.com/sluicehq/sluice/bff/media"
	"github.com/sluicehq/sluice/bff/securitylog"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/edge"
	"github.com/sluicehq/sluice/gateway/edge/fastreject"
	"github.com/sluicehq/sluice/gateway/gqlrequest"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/redisdb"
)

// ports returns the ports of the resolvers, each with a guard around its service.
func (w *wiring) ports(conns map[string]grpc.ClientConnInterface) bff.Ports {
	settings, metrics := w.config.Breaker, guard.NewMetrics(w.registry)
	guarded := func(service string) grpc.ClientConnInterface {
		conn := guard.Wrap(conns[service], guard.Options{
			Service: service, Timeout: w.config.CallTimeout, Failures: settings.Failures, OpenFor: settings.OpenDuration,
			InFlight: settings.InFlight, Wait: settings.QueueTimeout, Hedge: settings.Hedge, Logger: w.logger, Metrics: metrics,
		})
		w.guards = append(w.guards, conn)
		return conn
	}
	var ports bff.Ports
	rows := parts()
	for _, name := range catalog.Names() {
		rows[name].port(&ports, guarded(name))
	}
	return ports
}

// services describes each service for /readyz?verbose.
func (w *wiring) services() any {
	told := map[string]any{}
	for _, conn := range w.guards {
		s := conn.State()
		told[s.Service] = map[string]any{
			"breaker": s.Breaker, "inFlight": s.InFlight, "limit": s.Limit, "p95Ms": float64(s.P95.Microseconds()) / 1000,
		}
	}
	return told
}

// openRedis opens the configured Redis client, which several parts share.
func (w *wiring) openRedis() error {
	if w.config.Redis.URL == "" {
		return nil
	}
	client, err := redisdb.Open(redisdb.Options{
		URL: w.config.Redis.URL.Reveal(), Timeout: w.config.Redis.Timeout, Logger: w.logger, Registry: w.registry,
	})
	if err != nil {
		return err
	}
	w.redis = client
	w.program.closing.add("redis", func(context.Context) error { return client.Close() })
	return nil
}

func (w *wiring) redisState() any {
	if w.redis == nil {
		return map[string]string{}
	}
	return map[string]string{"breaker": w.redis.State()}
}

func (w *wiring) countOperations() func(plan.Outcome) {
	operations := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_graphql_operations_total", Help: "Operations by outcome: planned, why gqlgen's own executor ran them, or why they were refused.",
	}, []string{"outcome"})
	w.registry.MustRegister(operations)
	for _, outcome := range plan.Outcomes() {
		operations.WithLabelValues(string(outcome)) // exports 0 before the first one
	}
	return func(outcome plan.Outcome) { operations.WithLabelValues(string(outcome)).Inc() }
}

func (w *wiring) handler(ctx context.Context, ports bff.Ports, health *edge.Health, b *bus.Bus) (http.Handler, error) {
	budgets := w.budgets()
	proxies, err := w.trustedProxies()
	if err != nil {
		return nil, err
	}
	documents, err := w.documents()
	if err != nil {
		return nil, err
	}
	images, err := w.images()
	if err != nil {
		return nil, err
	}
	ports.Devices = media.Devices(ports.Devices, images)
	security := securitylog.New(w.logger)
	authenticator := auth.NewCached(ports.Accounts, w.config.Auth.Issuer, w.clock, auth.CacheOptions{
		TTL: w.config.Auth.CacheTTL, Entries: w.config.Auth.CacheEntries, OnRefusal: security.CredentialsRefused,
	})
	ports.Accounts = security.Accounts(authenticator.Invalidating(ports.Accounts))
	usage, introspection := w.abuse(), w.config.HTTP.Introspection || w.config.Demo
	admit := admission.New(admission.Options{
		Limits: w.documentLimits(), Introspection: introspection, Refusals: ports.Devices,
		Budgets: budgets, Abuse: usage, Overload: w.overload(budgets), Security: security,
	})
	server := pipeline.NewServer(&graph.Resolver{Ports: ports, Clock: w.clock, Abuse: usage}, pipeline.Options{
		Admission: admit, Limits: w.documentLimits(), Persisted: documents, Responses: w.responses, Introspection: introspection,
		Tokens: w.config.HTTP.MaxTokens, Logger: w.logger, Tracing: w.tracing, Count: w.countOperations(),
	})
	hub, err := w.subscriptions(ctx, authenticator, admit, b)
	if err != nil {
		return nil, err
	}
	parts := edge.Parts{
		GraphQL:   server,
		Admission: admit,
		Auth:      authenticator,
		Live:      hub,
		Images:    images,
		KeySet:    func(ctx context.Context) ([]byte, error) { return ports.Accounts.KeySet(ctx) },
		Health:    health,
	}
	options := edge.Options{
		RequestTimeout: w.config.HTTP.RequestTimeout, MaxBody: int64(w.config.HTTP.MaxBody),
		Requests: w.requests(), CompressFrom: int(w.config.HTTP.CompressionThreshold),
		Hosts: w.hosts(), GraphiQL: w.config.HTTP.GraphiQL, DemoIdentities: w.config.Demo, Introspection: introspection,
		CORSOrigins: w.config.HTTP.CORSOrigins, CORSHeaders: w.config.HTTP.CORSHeaders, TrustedProxies: proxies, Logger: w.logger, Tracing: w.tracing,
	}
	if w.config.Telemetry.Metrics {
		options.Registry = w.registry
	}
	health.Explain(func() map[string]any {
		return map[string]any{"services": w.services(), "redis": w.redisState()}
	})
	return edge.New(parts, options), nil
}

// hosts returns the host names of the demo; nil accepts every name. Only in the demo a request without credentials
// can become ADMIN.
func (w *wiring) hosts() []string {
	if !w.config.Demo {
		return nil
	}
	host, _, _ := net.SplitHostPort(w.config.Addr) // validated
	names := []string{strings.ToLower(host)}
	if at, err := url.Parse(w.config.HTTP.PublicURL); err == nil {
		names = append(names, strings.ToLower(at.Hostname()))
	}
	return names
}

func (w *wiring) documentLimits() document.Limits {
	limits := w.config.HTTP
	return document.Limits{
		Depth: limits.MaxDepth, Aliases: limits.MaxAliases, Cost: limits.MaxCost, Fields: limits.MaxFields,
		RootFields: limits.MaxRootFields, Directives: limits.MaxDirectives, FieldDirectives: limits.MaxFieldDirectives,
		Duplicates: limits.MaxDuplicates, Lists: limits.MaxLists,
	}
}

func (w *wiring) requests() gqlrequest.Limits {
	return gqlrequest.Limits{
		Depth: w.config.HTTP.MaxJSONDepth, Values: w.config.HTTP.MaxJSONValues, Variables: int(w.config.HTTP.MaxVariables),
		Batch: w.config.HTTP.MaxBatch,
	}
}

// serve serves HTTP until the program is closed. Then readiness fails, the listener closes, and running requests
// drain.
func (w *wiring) serve(handler http.Handler, health *edge.Health) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	w.registry.MustRegister(health)
	server := &http.Server{
		Handler: w.withDevices(handler), ReadHeaderTimeout: w.config.HTTP.ReadHeaderTimeout, IdleTimeout: w.config.HTTP.IdleTimeout,
		Protocols: protocols, MaxHeaderBytes: 64 << 10,
	}
	w.run("http", func(context.Context) error {
		if err := fastreject.Serve(server, w.listener, w.config.HTTP.RequestTimeout); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	w.program.closing.add("http requests", func(stop context.Context) error {
		stop, cancel := context.WithTimeout(stop, w.config.HTTP.DrainTimeout)
		defer cancel()
		if err := server.Shutdown(stop); err != nil {
			return errors.Join(fmt.Errorf("requests did not end in time: %w", err), server.Close())
		}
		return nil
	})
	w.drainFirst(health)
	w.program.closing.add("drain delay", func(stop context.Context) error {
		health.Drain()
		return clock.Sleep(stop, w.clock, max(0, w.config.HTTP.DrainDelay))
	})
}

// answers returns a check of a service in another process, by gRPC's health protocol.
func answers(conn grpc.ClientConnInterface) func(context.Context) error {
	return func(ctx context.Context) error {
		reply, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			return err
		}
		if reply.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			return errs.New(errs.Unavailable, errs.ReasonServiceDown, "not serving")
		}
		return nil
	}
}

func (w *wiring) remote(names, here []string, addr func(service string) (string, error)) (map[string]grpc.ClientConnInterface, error) {
	conns := map[string]grpc.ClientConnInterface{}
	for _, name := range names {
		if slices.Contains(here, name) {
			continue
		}
		at, err := addr(name)
		if err != nil {
			return nil, err
		}
		if conns[name], err = w.dial(name, at); err != nil {
			return nil, err
		}
	}
	return conns, nil
}
