package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/guard"
	"github.com/sluicehq/sluice/bff/media"
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
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/redisdb"
)

// ports gives the services as resolvers ask them, each behind its guard.
func (h *house) ports(conns map[string]grpc.ClientConnInterface) bff.Ports {
	settings, metrics := h.config.Breaker, guard.NewMetrics(h.registry)
	guarded := func(service string) grpc.ClientConnInterface {
		conn := guard.Wrap(conns[service], guard.Options{
			Service: service, Timeout: h.config.CallTimeout, Failures: settings.Failures, OpenFor: settings.OpenDuration,
			InFlight: settings.InFlight, Wait: settings.QueueTimeout, Hedge: settings.Hedge, Logger: h.logger, Metrics: metrics,
		})
		h.guards = append(h.guards, conn)
		return conn
	}
	var ports bff.Ports
	rows := parts()
	for _, name := range catalog.Names() {
		rows[name].port(&ports, guarded(name))
	}
	return ports
}

// services tells how they look from this gateway.
func (h *house) services() any {
	told := map[string]any{}
	for _, conn := range h.guards {
		s := conn.State()
		told[s.Service] = map[string]any{
			"breaker": s.Breaker, "inFlight": s.InFlight, "limit": s.Limit, "p95Ms": float64(s.P95.Microseconds()) / 1000,
		}
	}
	return told
}

// openRedis opens the Redis client of the settings, if there is one. Several parts of the gateway share it.
func (h *house) openRedis() error {
	if h.config.Redis.URL == "" {
		return nil
	}
	client, err := redisdb.Open(redisdb.Options{
		URL: h.config.Redis.URL.Reveal(), Timeout: h.config.Redis.Timeout, Logger: h.logger, Registry: h.registry,
	})
	if err != nil {
		return err
	}
	h.redis = client
	h.program.closing.add("redis", func(context.Context) error { return client.Close() })
	return nil
}

// redisState describes the circuit breaker of Redis for /readyz?verbose.
func (h *house) redisState() any {
	if h.redis == nil {
		return map[string]string{}
	}
	return map[string]string{"breaker": h.redis.State()}
}

// countOperations counts operations by how they are executed.
func (h *house) countOperations() func(plan.Outcome) {
	operations := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_graphql_operations_total", Help: "Operations by outcome: planned, why gqlgen's own executor ran them, or why they were refused.",
	}, []string{"outcome"})
	h.registry.MustRegister(operations)
	for _, outcome := range plan.Outcomes() {
		operations.WithLabelValues(string(outcome)) // exports 0 before the first one
	}
	return func(outcome plan.Outcome) { operations.WithLabelValues(string(outcome)).Inc() }
}

// handler returns the HTTP handler of the gateway.
func (h *house) handler(ctx context.Context, ports bff.Ports, health *edge.Health, b *bus.Bus) (http.Handler, error) {
	budgets := h.budgets()
	proxies, err := h.trustedProxies()
	if err != nil {
		return nil, err
	}
	documents, err := h.documents()
	if err != nil {
		return nil, err
	}
	images, err := h.images()
	if err != nil {
		return nil, err
	}
	ports.Devices = media.Devices(ports.Devices, images)
	authenticator := auth.NewCached(ports.Accounts, h.config.Auth.Issuer, h.clock, auth.CacheOptions{TTL: h.config.Auth.CacheTTL, Entries: h.config.Auth.CacheEntries})
	ports.Accounts = authenticator.Invalidating(ports.Accounts)
	usage, introspection := h.abuse(), h.config.HTTP.Introspection || h.config.Demo
	admit := admission.New(admission.Options{
		Limits: h.documentLimits(), Introspection: introspection, Refusals: ports.Devices,
		Budgets: budgets, Abuse: usage, Overload: h.overload(budgets),
	})
	server := pipeline.NewServer(&graph.Resolver{Ports: ports, Clock: h.clock, Abuse: usage}, pipeline.Options{
		Admission: admit, Limits: h.documentLimits(), Persisted: documents, Responses: h.responses, Introspection: introspection,
		Tokens: h.config.HTTP.MaxTokens, Logger: h.logger, Tracing: h.tracing, Count: h.countOperations(),
	})
	hub, err := h.subscriptions(ctx, authenticator, admit, b)
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
		RequestTimeout: h.config.HTTP.RequestTimeout, MaxBody: int64(h.config.HTTP.MaxBody),
		Requests: h.requests(), CompressFrom: int(h.config.HTTP.CompressionThreshold),
		CORSOrigins: h.config.HTTP.CORSOrigins, TrustedProxies: proxies, Logger: h.logger, Tracing: h.tracing,
	}
	if h.config.Telemetry.Metrics {
		options.Registry = h.registry
	}
	health.Explain(func() map[string]any {
		return map[string]any{"services": h.services(), "redis": h.redisState()}
	})
	return edge.New(parts, options), nil
}

func (h *house) documentLimits() document.Limits {
	limits := h.config.HTTP
	return document.Limits{
		Depth: limits.MaxDepth, Aliases: limits.MaxAliases, Cost: limits.MaxCost, Fields: limits.MaxFields,
		RootFields: limits.MaxRootFields, Directives: limits.MaxDirectives, FieldDirectives: limits.MaxFieldDirectives,
		Duplicates: limits.MaxDuplicates, Lists: limits.MaxLists,
	}
}

// requests bounds what is decoded of a request.
func (h *house) requests() gqlrequest.Limits {
	return gqlrequest.Limits{
		Depth: h.config.HTTP.MaxJSONDepth, Values: h.config.HTTP.MaxJSONValues, Variables: int(h.config.HTTP.MaxVariables),
		Batch: h.config.HTTP.MaxBatch,
	}
}

// serve answers HTTP until the program is closed: then it is no
// longer ready, takes no new connections, and lets running requests end.
func (h *house) serve(handler http.Handler, health *edge.Health) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: h.withDevices(handler), ReadHeaderTimeout: h.config.HTTP.ReadHeaderTimeout, IdleTimeout: h.config.HTTP.IdleTimeout,
		Protocols: protocols, MaxHeaderBytes: 64 << 10,
	}
	h.run("http", func(context.Context) error {
		if err := fastreject.Serve(server, h.listener, h.config.HTTP.RequestTimeout); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	h.program.closing.add("http requests", func(stop context.Context) error {
		health.Drain()
		stop, cancel := context.WithTimeout(stop, h.config.HTTP.DrainTimeout)
		defer cancel()
		if err := server.Shutdown(stop); err != nil {
			return errors.Join(fmt.Errorf("requests did not end in time: %w", err), server.Close())
		}
		return nil
	})
	h.drainFirst(health)
}

// answers checks that a service in another process is up, by gRPC's health protocol.
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

// remote reaches the services that run elsewhere; here names those that run in this process.
func (h *house) remote(names, here []string, addr func(service string) (string, error)) (map[string]grpc.ClientConnInterface, error) {
	conns := map[string]grpc.ClientConnInterface{}
	for _, name := range names {
		if slices.Contains(here, name) {
			continue
		}
		at, err := addr(name)
		if err != nil {
			return nil, err
		}
		if conns[name], err = h.dial(name, at); err != nil {
			return nil, err
		}
	}
	return conns, nil
}
