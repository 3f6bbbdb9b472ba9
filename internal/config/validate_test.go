package config_test

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/config"
)

func TestValidateReportsInvalidValues(t *testing.T) {
	t.Parallel()
	const token = "SLUICE_SERVICE_TOKEN=" + longToken
	for _, test := range []struct {
		name    string
		environ string // entries with a space between
		want    string // "" when it is valid
	}{
		{"every interface", "SLUICE_ADDR=:8080", ""},
		{"free port", "SLUICE_ADDR=127.0.0.1:0", ""},
		{"no port", "SLUICE_ADDR=localhost", "addr: "},
		{"port too large", "SLUICE_ADDR=localhost:70000", "addr: "},
		{"address is a URL", "SLUICE_ADDR=http://localhost:80", "addr: "},
		{"empty folder", "SLUICE_DATA=", "data: "},
		{"no issuer", "SLUICE_AUTH_ISSUER=", "auth.issuer: "},
		{"too few", "SLUICE_JOB_WORKERS=0", "job.workers: 0 is out of range: it must be at least 1 (--job-workers, SLUICE_JOB_WORKERS)"},
		{"too many", "SLUICE_JOB_WORKERS=1025", "job.workers: 1025 is out of range: it must be at most 1024"},
		{"negative duration", "SLUICE_HTTP_DRAIN_TIMEOUT=-1s", "http.drain_timeout: -1s is out of range: it must be at least 0s"},
		{"small size", "SLUICE_HTTP_MAX_BODY=10", "http.max_body: 10 is out of range: it must be at least 1KiB"},
		{"negative fee", "SLUICE_TRIP_TARIFF_PER_KM_MINOR=-1", "trip.tariff.per_km_minor: "},
		{"no ratio", "SLUICE_TELEMETRY_TRACE_RATIO=NaN", "telemetry.trace_ratio: "},
		{"more than all", "SLUICE_TELEMETRY_TRACE_RATIO=1.01", "telemetry.trace_ratio: "},
		{"speed limit", "SLUICE_TRIP_MAX_SPEEDS=train=170,boat=9", ""},
		{"speed limit without a number", "SLUICE_TRIP_MAX_SPEEDS=train=170,boat", "trip.max_speeds: "},
		{"speed limit of nothing", "SLUICE_TRIP_MAX_SPEEDS==9", "trip.max_speeds: "},
		{"currency", "SLUICE_TRIP_TARIFF_CURRENCY=eur", "trip.tariff.currency: "},
		{"call outlives request", "SLUICE_CALL_TIMEOUT=11s", "call_timeout: 11s is longer than http.request_timeout (10s)"},
		{"refresh before access ends", "SLUICE_AUTH_REFRESH_TTL=15m", "auth.refresh_ttl: "},
		{"service for others without token", "SLUICE_SERVICES_TRIP_LISTEN=0.0.0.0:9103", "service_token: it is empty, and services.trip.listen (0.0.0.0:9103) is not on loopback"},
		{"service on all interfaces without token", "SLUICE_SERVICES_TRIP_LISTEN=:9103", "service_token: "},
		{"one of two services elsewhere without token", "SLUICE_SERVICES_TRIP_ADDR=127.0.0.1:9103,trip:9103", "service_token: it is empty, and services.trip.addr"},
		{"a list with an invalid address", "SLUICE_SERVICES_TRIP_ADDR=127.0.0.1:9103,trip", `services.trip.addr: "trip" is not an address to call`},
		{"service elsewhere without token", "SLUICE_SERVICES_TRIP_ADDR=trip:9103", "service_token: it is empty, and services.trip.addr (trip:9103) is not on loopback"},
		{"service for others", "SLUICE_SERVICES_TRIP_LISTEN=0.0.0.0:9103 SLUICE_SERVICES_TRIP_ADDR=trip:9103 " + token, ""},
		{"service beside us", "SLUICE_SERVICES_TRIP_LISTEN=[::1]:9103 SLUICE_SERVICES_TRIP_ADDR=localhost:9103", ""},
		{"token to guess", "SLUICE_SERVICE_TOKEN=short", "service_token: it is too easy to guess"},
		{"call nowhere", "SLUICE_SERVICES_TRIP_ADDR=127.0.0.1:0", "services.trip.addr: "},
		{"call everyone", "SLUICE_SERVICES_TRIP_ADDR=:9103 " + token, "services.trip.addr: "},
		{"PostgreSQL", "SLUICE_SERVICES_TRIP_DATABASE=postgres://u:p@h:5432/trip?sslmode=disable SLUICE_SERVICES_JOB_DATABASE=sqlite:x.db", ""},
		{"not a database", "SLUICE_SERVICES_TRIP_DATABASE=mysql://h/trip", "services.trip.database: "},
		{"no path", "SLUICE_SERVICES_TRIP_DATABASE=sqlite:", "services.trip.database: "},
		{"one database for two", "SLUICE_SERVICES_TRIP_DATABASE=sqlite:x SLUICE_SERVICES_JOB_DATABASE=sqlite:x", "services.job.database: it is the database of services.trip too"},
		{"the default database of another", "SLUICE_DATA=/d SLUICE_SERVICES_JOB_DATABASE=sqlite:/d/trip.db", "services.job.database: it is the database of services.trip too"},
		{"NATS cluster", "SLUICE_NATS_URL=nats://t@a:4222,tls://u:p@b:4222", ""},
		{"NATS without credentials", "SLUICE_NATS_URL=nats://u:p@a:4222,nats://b:4222", "nats.url: "},
		{"NATS without credentials, allowed", "SLUICE_NATS_URL=nats://b:4222 SLUICE_NATS_UNAUTHENTICATED=true", ""},
		{"NATS on loopback", "SLUICE_NATS_URL=nats://127.0.0.1:4222", ""},
		{"Redis without credentials", "SLUICE_REDIS_URL=redis://cache:6379", "redis.url: "},
		{"Redis without credentials, allowed", "SLUICE_REDIS_URL=redis://cache:6379 SLUICE_REDIS_UNAUTHENTICATED=true", ""},
		{"Redis with a password", "SLUICE_REDIS_URL=rediss://:p@cache:6380", ""},
		{"not NATS", "SLUICE_NATS_URL=http://a:4222", "nats.url: "},
		{"OTLP", "SLUICE_TELEMETRY_OTLP_ENDPOINT=collector:4317", ""},
		{"OTLP as URL", "SLUICE_TELEMETRY_OTLP_ENDPOINT=http://collector:4317", ""},
		{"demo beyond loopback", "SLUICE_DEMO=true SLUICE_ADDR=0.0.0.0:8080", "demo: "},
		{"demo on every address", "SLUICE_DEMO=true SLUICE_ADDR=:8080", "demo: "},
		{"demo beyond loopback, allowed", "SLUICE_DEMO=true SLUICE_ADDR=0.0.0.0:8080 SLUICE_DEMO_PUBLIC=true", ""},
		{"OTLP with a path", "SLUICE_TELEMETRY_OTLP_ENDPOINT=http://collector:4317/v1/traces", "telemetry.otlp_endpoint: "},
		{"OTLP with another scheme", "SLUICE_TELEMETRY_OTLP_ENDPOINT=grpc://collector:4317", "telemetry.otlp_endpoint: "},
		{"OTLP without port", "SLUICE_TELEMETRY_OTLP_ENDPOINT=collector", "telemetry.otlp_endpoint: "},
		{"Redis", "SLUICE_REDIS_URL=rediss://u:p@h:6379/1", ""},
		{"not Redis", "SLUICE_REDIS_URL=h:6379", "redis.url: "},
		{"proxies", "SLUICE_HTTP_TRUSTED_PROXIES=10.0.0.0/8,fd00::/8", ""},
		{"a proxy without prefix", "SLUICE_HTTP_TRUSTED_PROXIES=10.0.0.1", "http.trusted_proxies: "},
		{"nothing to spend", "SLUICE_QUOTA_ANONYMOUS_POINTS=0", "quota.anonymous_points: "},
		{"any origin", "SLUICE_HTTP_CORS_ORIGINS=*", ""},
		{"origin with path", "SLUICE_HTTP_CORS_ORIGINS=https://a.example/", "http.cors_origins: "},
		{"origin without scheme", "SLUICE_HTTP_CORS_ORIGINS=a.example", "http.cors_origins: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(strings.Fields(test.environ), "")
			if test.want == "" && err != nil {
				t.Fatal(err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestValidateOfModifiedConfigReportsEachProblem(t *testing.T) {
	t.Parallel()
	cfg := defaultConfig(t)
	cfg.Log.Format = "xml"
	cfg.Job.Workers = 0
	err := cfg.Validate()
	if err == nil || !strings.Contains(err.Error(), "log.format") || !strings.Contains(err.Error(), "job.workers") {
		t.Errorf("got %v", err)
	}
}
