// Package config declares each setting once, as a field of Config. The name of the field, the prefix of its area and
// its tags define the flag (--http-max-body), the variable (SLUICE_HTTP_MAX_BODY), the key in the config file
// (http.max_body), the default and the documentation. Commands of github.com/alecthomas/kong embed Config, and
// Sources fills it. Precedence: flag, variable, secret file (SLUICE_…_FILE), config file, default.
//
// An unknown key, an unknown SLUICE_… variable and an invalid value are errors that name the setting and the nearest
// known name. Secrets are never printed, also not in errors.
package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/catalog"
)

// Config has all settings. The name of an area is one word, because its prefix becomes a block of the config file:
// "services-trip-" is services.trip.
type Config struct {
	File string `name:"config" placeholder:"FILE" help:"Config file in YAML."`

	Data string `default:"./data" group:"General" help:"Data folder: databases, keys, events."`
	Addr string `default:"127.0.0.1:8080" group:"General" help:"Address of the gateway's listener, as host:port; port 0 selects a free port."`
	Demo bool   `default:"false" group:"General" help:"Add the demo identities and recordings, in a data folder of its own; never for real data, because everybody can sign in as ADMIN."`

	DemoPublic  bool   `default:"false" group:"General" help:"Allow the demo on an address that other machines reach."`
	SealingKeys Secret `group:"General" help:"Keys that seal stored secrets, at least 32 bytes each, separated by commas or lines: the first one seals, all open. The processes of a service share them. Empty for a key in the data folder."`

	Memory       Memory        `embed:"" prefix:"memory-" group:"General"`
	Log          Log           `embed:"" prefix:"log-" group:"Logs"`
	HTTP         HTTP          `embed:"" prefix:"http-" group:"HTTP and GraphQL"`
	Documents    Documents     `embed:"" prefix:"documents-" group:"Documents"`
	Auth         Auth          `embed:"" prefix:"auth-" group:"Sign-in"`
	Services     Services      `embed:"" prefix:"services-" group:"Services"`
	ServiceToken Secret        `group:"Services" help:"Secret that the gateway and separate services share. Empty for one in the data folder, which parts on loopback with the same folder share; required as soon as one of them is not on loopback."`
	CallTimeout  time.Duration `default:"3s" min:"1ms" group:"Services" help:"Timeout of one call to a service."`
	Breaker      Breaker       `embed:"" prefix:"breaker-" group:"Services"`
	NATS         NATS          `embed:"" prefix:"nats-" group:"Events"`
	MQTT         MQTT          `embed:"" prefix:"mqtt-" group:"Devices"`
	Device       Device        `embed:"" prefix:"device-" group:"Devices"`
	Camera       Camera        `embed:"" prefix:"camera-" group:"Devices"`
	Live         Live          `embed:"" prefix:"live-" group:"Subscriptions"`
	Quota        Quota         `embed:"" prefix:"quota-" group:"Budgets"`
	Abuse        Abuse         `embed:"" prefix:"abuse-" group:"Budgets"`
	Overload     Overload      `embed:"" prefix:"overload-" group:"Budgets"`
	Redis        Redis         `embed:"" prefix:"redis-" group:"Redis"`
	Cache        Cache         `embed:"" prefix:"cache-" group:"Cache"`
	Trip         Trip          `embed:"" prefix:"trip-" group:"Trips"`
	Job          Job           `embed:"" prefix:"job-" group:"Jobs"`
	Activity     Activity      `embed:"" prefix:"activity-" group:"Activities"`
	Telemetry    Telemetry     `embed:"" prefix:"telemetry-" group:"Telemetry"`
}

// Memory configures the memory limit and the garbage collector.
type Memory struct {
	Limit     Size `default:"0" help:"Soft limit for the memory of the process; 0 selects three quarters of the memory of the machine or its container. GOMEMLIMIT takes precedence."`
	GCPercent int  `default:"400" min:"10" help:"Growth of the heap between two garbage collections, in percent, below the memory limit. GOGC takes precedence."`
}

// Log configures the level and the format of log lines.
type Log struct {
	Level  string `default:"info" enum:"debug,info,warn,error" help:"Minimum level of log lines: debug, info, warn or error."`
	Format string `default:"text" enum:"text,json" help:"Format of log lines: text or json."`
}

// HTTP limits requests and documents, and configures the listener.
type HTTP struct {
	RequestTimeout       time.Duration `default:"10s" min:"1ms" help:"Deadline of a request, including all calls to services."`
	ReadHeaderTimeout    time.Duration `default:"5s" min:"1ms" help:"Timeout for the headers of a request."`
	IdleTimeout          time.Duration `default:"2m" min:"1s" help:"Timeout of an idle connection between two requests."`
	DrainDelay           time.Duration `default:"-1s" help:"Time after the signal to stop in which the gateway is not ready and still accepts requests, so that load balancers take it out; negative selects 3s for sluice gateway and 0s for sluice serve."`
	DrainTimeout         time.Duration `default:"8s" min:"0s" help:"Time for running requests to finish after the signal to stop."`
	PublicURL            string        `name:"public-url" placeholder:"URL" help:"URL at which cameras and callers reach the gateway, as in https://sluice.example.org; empty for http:// and the address of the listener."`
	MaxBody              Size          `default:"1MiB" min:"1KiB" help:"Maximum size of a request body."`
	MaxVariables         Size          `default:"512KiB" min:"1KiB" help:"Maximum size of the variables of a request, as JSON."`
	MaxJSONDepth         int           `default:"32" min:"4" help:"Maximum depth of lists and objects in the JSON of a request."`
	MaxJSONValues        int           `default:"20000" min:"10" help:"Maximum number of values in the JSON of a request, including those in lists and objects."`
	MaxBatch             int           `default:"0" min:"0" max:"100" help:"Maximum number of operations in a batch (a JSON array of requests); 0 rejects batches."`
	CompressionThreshold Size          `default:"1KiB" help:"Minimum size of a query response that is compressed with zstd or gzip for clients that accept it; 0 disables compression."`
	CORSOrigins          []string      `help:"Origins whose pages may call the API, such as https://app.example.org; * for any."`
	CORSHeaders          []string      `help:"Request headers that pages of these origins may send, in addition to those of the API." default:"traceparent,tracestate,baggage,apollographql-client-name,apollographql-client-version,apollo-require-preflight,sentry-trace"`
	MaxDepth             int           `default:"15" min:"1" help:"Maximum depth of fields in a GraphQL document."`
	MaxTokens            int           `default:"5000" min:"1" help:"Maximum number of tokens in a GraphQL document."`
	MaxAliases           int           `default:"50" min:"0" help:"Maximum number of aliases in an operation; those of a fragment count at each spread."`
	MaxFields            int           `default:"2000" min:"1" help:"Maximum number of fields in a GraphQL document; those of a fragment count at each spread."`
	MaxRootFields        int           `default:"30" min:"1" help:"Maximum number of root fields in an operation."`
	MaxDirectives        int           `default:"50" min:"1" help:"Maximum number of directives in an operation."`
	MaxFieldDirectives   int           `name:"max-field-directives" default:"5" min:"1" help:"Maximum number of directives at one location."`
	MaxDuplicates        int           `default:"30" min:"1" help:"Maximum number of duplicate fields and fragments in an operation."`
	MaxLists             int           `default:"5" min:"1" help:"Maximum depth of nested lists of objects in an operation."`
	GraphiQL             bool          `name:"graphiql" default:"true" negatable:"" help:"Serve GraphiQL at /graphiql/."`
	Introspection        bool          `default:"false" help:"Allow introspection for every caller, as in the demo; otherwise it requires the scope schema:read."`
	MaxCost              int           `default:"10000" min:"1" help:"Maximum cost of a GraphQL document, in points, independent of the budget of its caller."`
	TrustedProxies       []string      `help:"Networks of trusted proxies, such as 10.0.0.0/8, whose X-Forwarded-For header determines the address of a caller."`
}

// Documents configures persisted and trusted documents.
type Documents struct {
	Manifest              string        `placeholder:"FILE" help:"File of trusted documents: Apollo's persisted query manifest, or a JSON object of ids and texts; empty for none."`
	OnlyTrusted           bool          `default:"false" help:"Execute only trusted documents for API keys and anonymous callers."`
	Persisted             bool          `default:"true" negatable:"" help:"Allow clients to register documents and to execute them by hash (automatic persisted queries)."`
	AnonymousRegistration bool          `default:"false" help:"Allow anonymous callers to register documents, too."`
	Memory                Size          `default:"32MiB" min:"64KiB" help:"Memory limit of registered documents."`
	TTL                   time.Duration `default:"720h" min:"1m" help:"TTL of a registered document in Redis, renewed by each use."`
}

// Auth configures tokens and the cache of credential checks.
type Auth struct {
	AccessTTL    time.Duration `default:"15m" min:"1s" help:"TTL of an access token."`
	RefreshTTL   time.Duration `default:"720h" min:"1s" help:"TTL of a refresh token."`
	KeyRotation  time.Duration `default:"2160h" min:"0s" help:"Time after which a new key signs access tokens; 0 rotates by sluice keys rotate only."`
	CacheTTL     time.Duration `default:"5s" min:"0s" max:"1m" help:"TTL of a cached credential check. An API key that was revoked at another gateway remains valid for this time when its event is lost; 0 calls the account service for each request."`
	CacheEntries int           `default:"10000" min:"1" help:"Maximum number of cached credential checks, about 500 bytes each."`
	Issuer       string        `default:"sluice" help:"Issuer in access tokens (iss)."`
}

// Services configures each service of internal/catalog, with its default address.
type Services struct {
	Account  Service `kong:"embed,prefix='account-',set='listen=127.0.0.1:9101',set='storage=16MiB'"`
	Device   Service `kong:"embed,prefix='device-',set='listen=127.0.0.1:9102',set='storage=64MiB'"`
	Trip     Service `kong:"embed,prefix='trip-',set='listen=127.0.0.1:9103',set='storage=256MiB'"`
	Job      Service `kong:"embed,prefix='job-',set='listen=127.0.0.1:9104',set='storage=128MiB'"`
	Activity Service `kong:"embed,prefix='activity-',set='listen=127.0.0.1:9105',set='storage=512MiB'"`
}

// Service configures the database and the addresses of one service.
type Service struct {
	Database       Secret `help:"Database of the service, as postgres://… or sqlite:PATH; empty for a SQLite file in the data folder."`
	MaxConnections int    `default:"16" min:"2" max:"1000" help:"Maximum number of connections of this process to PostgreSQL. The sum over all processes and services must stay below max_connections of the server."`
	Addr           string `help:"Address of the service when it runs separately, as host:port, several with commas; calls are distributed over these and over all addresses of a host name. Empty when it runs in this process."`
	Listen         string `default:"${listen}" help:"Listen address of the service when it runs separately, as host:port."`
	AccountStorage Size   `default:"${storage}" help:"Maximum size of what an account stores in the service: rows with their indexes. Writes beyond it are refused. 0 is unlimited."`
}

// Breaker configures the circuit breaker, the bulkhead and the hedging of calls to services.
type Breaker struct {
	Failures     int           `default:"5" min:"1" help:"Number of consecutive failures after which the circuit breaker of a service opens and rejects calls."`
	OpenDuration time.Duration `default:"5s" min:"1ms" help:"Time for which the circuit breaker stays open before it lets one call through."`
	InFlight     int           `default:"256" min:"1" help:"Maximum number of concurrent calls of one gateway to a service; half of it per caller."`
	Hedge        bool          `default:"true" negatable:"" help:"Hedge cheap reads: send a second call when the first takes longer than the 95th percentile."`
	QueueTimeout time.Duration `default:"100ms" min:"0s" help:"Time for which a call waits for a free slot before it is rejected."`
}

// NATS configures the broker and the retention of events.
type NATS struct {
	URL             Secret        `name:"url" help:"NATS servers, as nats://host:port, separated by commas; empty for the embedded server."`
	Unauthenticated bool          `default:"false" help:"Allow servers beyond loopback without user and password in nats.url."`
	EventsMaxAge    time.Duration `default:"72h" min:"1s" help:"Retention of events, for subscribers that resume."`
	EventsMaxBytes  Size          `default:"1GiB" min:"1MiB" help:"Maximum size of the event stream."`
	Replicas        int           `default:"0" min:"0" max:"5" help:"Number of replicas of each stream in a NATS cluster; 0 selects 3, or 1 when the cluster has fewer servers."`
}

// MQTT configures the listener for devices, and the limits of one device.
type MQTT struct {
	Addr                         string        `default:"127.0.0.1:1883" help:"Address of the MQTT listener for devices, as host:port; port 0 selects a free port, empty disables it."`
	WebsocketAddr                string        `default:"127.0.0.1:9112" help:"Address at which a device service that runs separately takes MQTT over WebSocket from the gateway, as host:port; empty disables it."`
	TLSCert                      string        `placeholder:"FILE" help:"TLS certificate of the MQTT listener, in PEM; with mqtt.tls_key it accepts TLS only."`
	TLSKey                       string        `placeholder:"FILE" help:"Private key of the certificate, in PEM."`
	MaxPacket                    Size          `default:"68KiB" min:"1KiB" max:"1MiB" help:"Maximum size of a packet from a device; a larger one closes the connection."`
	ConnectTimeout               time.Duration `default:"10s" min:"100ms" help:"Timeout from the first byte of a connection to the end of its CONNECT."`
	MaxKeepAlive                 time.Duration `default:"20m" min:"1s" max:"18h" help:"Maximum keep-alive; a device that asks for more or for none has this one. A connection ends after one and a half times its keep-alive without a byte."`
	MaxConnections               int           `default:"4" min:"1" max:"100" help:"Maximum number of connections and of sessions of a device; a further one closes the oldest."`
	SessionTTL                   time.Duration `default:"168h" min:"1s" help:"Maximum TTL of a session without a connection."`
	MaxSubscriptions             int           `default:"8" min:"1" help:"Maximum number of subscriptions of a session."`
	MessageRate                  int           `default:"200" min:"1" help:"Rate limit per device, in messages per second; packets over it are read slower, and with quality of service 0 dropped."`
	ByteRate                     Size          `default:"256KiB" min:"1KiB" help:"Rate limit per device, in bytes per second."`
	Burst                        time.Duration `default:"5s" min:"0s" help:"Burst of both rate limits, as the time in which it refills."`
	WriteQueue                   Size          `default:"256KiB" min:"72KiB" help:"Size of the write queue of a connection; a slow consumer with a full queue is closed."`
	WriteTimeout                 time.Duration `default:"10s" min:"100ms" help:"Timeout for a device that reads nothing of its queue."`
	MaxUnauthenticated           int           `default:"1000" min:"10" help:"Maximum number of connections whose CONNECT is not accepted yet; a further one closes the oldest of them."`
	MaxUnauthenticatedPerAddress int           `default:"256" min:"1" help:"Maximum number of such connections per address."`
}

// Device configures presence and retention in the device service.
type Device struct {
	OfflineGrace     time.Duration `default:"30s" min:"0s" help:"Time for a disconnected device to reconnect before it is OFFLINE."`
	RawRetention     time.Duration `default:"0s" min:"0s" help:"Retention of raw readings; afterwards each step has their count, sum, minimum, maximum and last value. 0 is unlimited."`
	RollupStep       time.Duration `default:"5m" min:"1s" help:"Length of a rollup step."`
	RollupRetention  time.Duration `default:"0s" min:"0s" help:"Retention of the rollup steps. 0 is unlimited."`
	RestartGrace     time.Duration `default:"90s" min:"1s" help:"Time for devices to reconnect after the end of the process that held their connections before they are OFFLINE: one and a half times their keep-alive."`
	CommandRetention time.Duration `default:"2160h" min:"0s" help:"Retention of finished commands and their logs. 0 is unlimited."`
	EventRetention   time.Duration `default:"8760h" min:"0s" help:"Retention of device events. 0 is unlimited."`
	AuditRetention   time.Duration `default:"720h" min:"1h" help:"Retention of the audit log: calls of API keys that act on devices."`
	Storage          Size          `default:"256MiB" help:"Maximum size of what is stored of a device, with its indexes. Readings and events that it sends beyond it are refused. 0 is unlimited."`
}

// Camera limits streams of cameras, and configures the storage of images.
type Camera struct {
	Lease              time.Duration `default:"1m" min:"1s" help:"Lease of a viewer; startStream renews it."`
	Linger             time.Duration `default:"20s" min:"1s" help:"Time for which a stream continues without a viewer."`
	Window             time.Duration `default:"5m" min:"1s" help:"Window in which starts of a stream are counted."`
	MaxStarts          int           `default:"6" min:"1" help:"Maximum number of start commands to a camera per window."`
	MaxStartsPerCaller int           `default:"3" min:"1" help:"Maximum number of start commands to a camera per window and caller."`
	CallsPerMinute     int           `default:"120" min:"1" max:"6000" help:"Rate limit per caller and camera, each for starting and for moving: calls per minute, with a burst of 20."`
	ImageDir           string        `placeholder:"DIR" help:"Folder for images of cameras, shared by all gateways; empty for a folder in the data folder."`
	ImageMaxBytes      Size          `default:"5MiB" min:"1KiB" help:"Maximum size of an image."`
	ImageRetention     time.Duration `default:"24h" min:"1m" help:"Retention of images."`
	ImageURLTTL        time.Duration `name:"image-url-ttl" default:"15m" min:"1s" help:"TTL of the signed URL of an image."`
}

// Live limits subscribers and their connections.
type Live struct {
	CursorKey        Secret        `help:"Secret that signs cursors, the same for all gateways; empty for one derived from service_token, or without it for one in the data folder."`
	InitTimeout      time.Duration `default:"5s" min:"1s" help:"Timeout for connection_init on a WebSocket."`
	IdleTimeout      time.Duration `default:"75s" min:"2s" help:"Timeout of a WebSocket without any message, including pongs."`
	KeepAlive        time.Duration `default:"25s" min:"1s" help:"Interval of pings and heartbeats to an idle client."`
	WriteTimeout     time.Duration `default:"10s" min:"100ms" help:"Timeout for a client that reads nothing of its queue."`
	DrainTime        time.Duration `default:"2s" min:"0s" help:"Time over which the connections of clients are closed after the signal to stop."`
	MaxTotal         int           `default:"20000" min:"1" help:"Maximum number of open connections in total."`
	MaxConnections   int           `default:"5000" min:"1" help:"Maximum number of open connections per caller."`
	MaxSubscriptions int           `default:"100" min:"1" help:"Maximum number of concurrent operations per connection."`
	MaxMessage       Size          `default:"64KiB" min:"1KiB" help:"Maximum size of a message from a client."`
	Queue            Size          `default:"256KiB" min:"1KiB" help:"Size of the queue of a client; a slow consumer with a full queue reads events from the stream instead."`
	History          int           `default:"2000" min:"1" help:"Number of events in memory for subscribers that resume."`
	HistoryBytes     Size          `default:"16MiB" min:"1KiB" help:"Maximum size of these events."`
	Compression      bool          `default:"false" help:"Compress large messages for clients that support it."`
}

// Quota is the budget of a caller. API keys have their own budgets.
type Quota struct {
	AccountPoints   int `default:"600000" min:"1" max:"1000000000" help:"Budget of an account, in points per minute."`
	AnonymousPoints int `default:"6000" min:"1" max:"1000000000" help:"Budget of an anonymous caller, in points per minute and network address (a /64 for IPv6)."`
	InFlight        int `default:"256" min:"1" help:"Maximum number of concurrent requests per caller."`
	Callers         int `default:"100000" min:"100" help:"Maximum number of callers in memory, about 300 bytes each; those with the fewest requests are evicted first."`
}

// Abuse configures the breakers of callers.
type Abuse struct {
	Window   time.Duration `default:"1m" min:"1s" help:"Window in which the failures and the repeated mutations of a caller are counted."`
	Failures int           `default:"200" min:"10" help:"Failed operations of one kind within the window that open the caller's breaker for this kind: failures by the caller's own fault, and at least 90% of its operations."`
	Repeats  int           `default:"120" min:"10" help:"Maximum number of calls of one mutation for one entity within the window."`
	OpenFor  time.Duration `default:"30s" min:"100ms" help:"How long a breaker stays open before it admits one trial operation."`
	Callers  int           `default:"5000" min:"100" help:"Maximum number of observed callers, up to 4 KB each; the least active is evicted first."`
}

// Overload configures load shedding.
type Overload struct {
	QueueTime time.Duration `default:"50ms" min:"0s" help:"Target for the median scheduling delay of runnable goroutines; above it requests are shed. 0 disables load shedding."`
	Interval  time.Duration `default:"250ms" min:"10ms" help:"Interval at which the delay is measured and the share of shed requests is adjusted."`
}

// Redis configures the store that several gateways share.
type Redis struct {
	URL             Secret        `name:"url" help:"Redis in which gateways share budgets and cached responses, as redis://host:port or rediss://…; empty for a single gateway."`
	Unauthenticated bool          `default:"false" help:"Allow a server beyond loopback without a password in redis.url."`
	Timeout         time.Duration `default:"50ms" min:"1ms" help:"Timeout of a call to Redis; after it each gateway counts budgets alone, and calls the services instead of the cache."`
}

// Cache configures the cache of service responses.
type Cache struct {
	Enabled       bool `default:"true" negatable:"" help:"Cache responses of the services until a write invalidates them. Requires a broker, and Redis for several gateways."`
	SingleGateway bool `default:"false" help:"This gateway is the only one and may cache without Redis; detected when all services run in its process."`
	Memory        Size `default:"64MiB" min:"1MiB" help:"Approximate memory limit of the cache."`
	MaxEntry      Size `default:"256KiB" min:"1KiB" help:"Maximum size of a cached response of a service."`
}

// Trip configures the trip service.
type Trip struct {
	Tariff    Tariff   `embed:"" prefix:"tariff-"`
	MaxSpeed  float64  `default:"100" min:"1" max:"12000" help:"Speed limit of vehicles, in metres a second. A faster fix is stored but does not count for the distance."`
	MaxSpeeds []string `default:"bicycle=25,scooter=25,car=80,train=170,aircraft=350" help:"Speed limits by kind of vehicle, in metres a second. The label vehicle of a device names its kind."`
}

// SpeedLimits parses MaxSpeeds.
func (t Trip) SpeedLimits() (map[string]float64, error) {
	limits := make(map[string]float64, len(t.MaxSpeeds))
	for _, entry := range t.MaxSpeeds {
		kind, speed, _ := strings.Cut(entry, "=")
		limit, err := strconv.ParseFloat(speed, 64)
		if err != nil || kind == "" || !(limit >= 1 && limit <= 12000) {
			return nil, invalid("trip.max_speeds", "%q is not a kind with a speed of 1 to 12000 m/s, such as train=170", entry)
		}
		limits[kind] = limit
	}
	return limits, nil
}

// Tariff is the price of a trip, in minor units of the currency (cents).
type Tariff struct {
	Currency       string `default:"EUR" help:"Currency of fees, by its ISO 4217 code."`
	StartFeeMinor  int64  `default:"100" min:"0" help:"Fee for starting a trip, in minor units (cents)."`
	PerKmMinor     int64  `default:"120" min:"0" help:"Fee for a kilometre, in minor units (cents)."`
	PerMinuteMinor int64  `default:"19" min:"0" help:"Fee for a minute, in minor units (cents)."`
}

// Job configures the workers and the retention of jobs.
type Job struct {
	Workers             int           `default:"8" min:"1" max:"1024" help:"Maximum number of concurrent jobs in one process."`
	FinishedRetention   time.Duration `default:"8760h" min:"0s" help:"Retention of finished jobs and their runs since the last change. 0 is unlimited."`
	WebhookAllowPrivate bool          `default:"false" help:"Allow webhooks to loopback, link-local and private addresses."`
}

// Activity configures the retention of the activity service.
type Activity struct {
	HistoryRetention time.Duration `default:"720h" min:"0s" help:"Retention of earlier versions of activities that were corrected or deleted. 0 is unlimited."`
}

// Telemetry configures metrics and the export of traces.
type Telemetry struct {
	OTLPEndpoint string  `help:"OTLP/gRPC endpoint for traces, as host:port or http://host:port without TLS, or https://host:port; empty disables the export."`
	TraceRatio   float64 `default:"1.0" min:"0" max:"1" help:"Sampling ratio of traces, from 0 to 1."`
	Metrics      bool    `default:"true" negatable:"" help:"Serve Prometheus metrics at /metrics."`
}

// Get returns the settings of the named service. The error lists the valid names.
func (s Services) Get(name string) (Service, error) {
	if _, err := catalog.Find(name); err != nil {
		return Service{}, err
	}
	field := reflect.ValueOf(s).FieldByNameFunc(func(field string) bool { return strings.EqualFold(field, name) })
	if !field.IsValid() {
		return Service{}, fmt.Errorf("the service %q has no settings", name)
	}
	return field.Interface().(Service), nil
}

// DSN returns the database of the named service for sqldb.Open: the configured one, or a SQLite file in the data
// folder. It may contain a password.
func (c Config) DSN(service string) (string, error) {
	s, err := c.Services.Get(service)
	if err != nil {
		return "", err
	}
	if s.Database != "" {
		return s.Database.Reveal(), nil
	}
	return "sqlite:" + filepath.Join(c.Data, service+".db"), nil
}
