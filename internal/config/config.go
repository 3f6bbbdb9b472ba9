// Package config holds every setting of Sluice, each declared once: a field of Config.
//
// From the field's name, its area's prefix and its tags follow the flag (--http-max-body), the
// variable (SLUICE_HTTP_MAX_BODY), the line in the config file (http.max_body), the default and the
// sentence that documents it, so none of them can be missing. Config is embedded in a command of
// github.com/alecthomas/kong and Sources fills it; a flag wins over a variable, a variable over its
// secret file (SLUICE_…_FILE), that over the config file, that over the default.
//
// It promises: an unknown key, an unknown SLUICE_… variable and a bad value are errors that name it
// and the nearest known one; secrets are never printed, in errors neither.
package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/catalog"
)

// Config is every setting. Areas have names of one word, because their prefixes become the blocks
// of the config file: "services-trip-" is services.trip.
type Config struct {
	File string `name:"config" placeholder:"FILE" help:"Config file in YAML."`

	Data string `default:"./data" group:"General" help:"Folder for everything that is kept: databases, keys, events."`
	Addr string `default:"127.0.0.1:8080" group:"General" help:"Where the gateway listens, as host:port; port 0 takes a free one."`
	Demo bool   `default:"false" group:"General" help:"Add the demo identities and recordings; never for real data."`

	Memory       Memory        `embed:"" prefix:"memory-" group:"General"`
	Log          Log           `embed:"" prefix:"log-" group:"Logs"`
	HTTP         HTTP          `embed:"" prefix:"http-" group:"HTTP and GraphQL"`
	Documents    Documents     `embed:"" prefix:"documents-" group:"Documents"`
	Auth         Auth          `embed:"" prefix:"auth-" group:"Sign-in"`
	Services     Services      `embed:"" prefix:"services-" group:"Services"`
	ServiceToken Secret        `group:"Services" help:"Secret that the gateway and services running apart share; needed as soon as one of them is not on loopback."`
	CallTimeout  time.Duration `default:"3s" min:"1ms" group:"Services" help:"How long one call to a service may take."`
	Breaker      Breaker       `embed:"" prefix:"breaker-" group:"Services"`
	NATS         NATS          `embed:"" prefix:"nats-" group:"Events"`
	MQTT         MQTT          `embed:"" prefix:"mqtt-" group:"Devices"`
	Device       Device        `embed:"" prefix:"device-" group:"Devices"`
	Camera       Camera        `embed:"" prefix:"camera-" group:"Devices"`
	Live         Live          `embed:"" prefix:"live-" group:"Subscriptions"`
	Quota        Quota         `embed:"" prefix:"quota-" group:"Budgets"`
	Conduct      Conduct       `embed:"" prefix:"conduct-" group:"Budgets"`
	Overload     Overload      `embed:"" prefix:"overload-" group:"Budgets"`
	Redis        Redis         `embed:"" prefix:"redis-" group:"Redis"`
	Cache        Cache         `embed:"" prefix:"cache-" group:"Cache"`
	Trip         Trip          `embed:"" prefix:"trip-" group:"Trips"`
	Job          Job           `embed:"" prefix:"job-" group:"Jobs"`
	Telemetry    Telemetry     `embed:"" prefix:"telemetry-" group:"Telemetry"`
}

// Memory says how much of it the process may use.
type Memory struct {
	Limit     Size `default:"0" help:"Memory that the process aims to stay below; 0 means three quarters of what the machine or its container has. GOMEMLIMIT wins."`
	GCPercent int  `default:"400" min:"10" help:"How much the heap may grow between two garbage collections, in percent, while there is room. GOGC wins."`
}

// Log says what is logged, and how.
type Log struct {
	Level  string `default:"info" enum:"debug,info,warn,error" help:"Least severe log line that is written: debug, info, warn or error."`
	Format string `default:"text" enum:"text,json" help:"Form of a log line: text or json."`
}

// HTTP bounds what one caller may ask of the gateway.
type HTTP struct {
	RequestTimeout     time.Duration `default:"10s" min:"1ms" help:"How long a request may take, everything included."`
	ReadHeaderTimeout  time.Duration `default:"5s" min:"1ms" help:"How long a client may take to send its headers."`
	IdleTimeout        time.Duration `default:"2m" min:"1s" help:"How long a connection may stay open between two requests."`
	DrainTimeout       time.Duration `default:"8s" min:"0s" help:"How long running requests may go on after the signal to stop."`
	PublicURL          string        `name:"public-url" placeholder:"URL" help:"How cameras and callers reach the gateway, as in https://sluice.example.org; empty for http:// and the address where it listens."`
	MaxBody            Size          `default:"1MiB" min:"1KiB" help:"Largest request body."`
	MaxVariables       Size          `default:"512KiB" min:"1KiB" help:"Largest variables of a request, as JSON."`
	MaxJSONDepth       int           `default:"32" min:"4" help:"Deepest nesting of lists and objects in the JSON of a request."`
	MaxJSONValues      int           `default:"20000" min:"10" help:"Most values in the JSON of a request, those in lists and objects counted each."`
	Batching           int           `default:"0" min:"0" max:"100" help:"Most operations in one request, as a JSON array of them; 0 refuses arrays."`
	CompressFrom       Size          `default:"1KiB" help:"Smallest answer to a query that is compressed for clients that can read gzip; 0 compresses none."`
	CORSOrigins        []string      `help:"Origins whose pages may call the API, such as https://app.example.org; * for any."`
	MaxDepth           int           `default:"15" min:"1" help:"Deepest nesting of fields in a GraphQL document."`
	MaxTokens          int           `default:"5000" min:"1" help:"Most tokens in a GraphQL document."`
	MaxAliases         int           `default:"50" min:"0" help:"Most aliases in an operation, those of a fragment counted each time that it is spread."`
	MaxFields          int           `default:"2000" min:"1" help:"Most fields in a GraphQL document, those of a fragment counted each time that it is spread."`
	MaxRootFields      int           `default:"30" min:"1" help:"Most fields at the top of an operation."`
	MaxDirectives      int           `default:"50" min:"1" help:"Most directives in an operation."`
	MaxFieldDirectives int           `name:"max-field-directives" default:"5" min:"1" help:"Most directives in one place."`
	MaxDuplicates      int           `default:"30" min:"1" help:"Most fields and fragments in an operation that stand beside their equals."`
	MaxLists           int           `default:"5" min:"1" help:"Most lists of objects in each other in an operation."`
	Introspection      bool          `default:"false" help:"Let everybody look into the schema, as the demo does; else it needs the scope schema:read."`
	MaxCost            int           `default:"10000" min:"1" help:"Most points that a GraphQL document may cost, whatever its caller may spend."`
	TrustedProxies     []string      `help:"Networks, such as 10.0.0.0/8, whose X-Forwarded-For is believed when the address of a caller is looked for."`
}

// Documents says which documents can be asked for without their text.
type Documents struct {
	Manifest       string        `placeholder:"FILE" help:"File of trusted documents: Apollo's persisted query manifest, or a JSON object of ids and texts; empty for none."`
	OnlyTrusted    bool          `default:"false" help:"Run nothing but trusted documents for API keys and for those who have not signed in."`
	Persisted      bool          `default:"true" negatable:"" help:"Let clients register documents and then ask for them by hash (automatic persisted queries)."`
	RegisterAnyone bool          `default:"false" help:"Let those register documents too who have not signed in."`
	Memory         Size          `default:"32MiB" min:"64KiB" help:"How much room registered documents may take in memory."`
	Keep           time.Duration `default:"720h" min:"1m" help:"How long Redis, where there is one, keeps a registered document that nobody asks for."`
}

// Auth says how long a sign-in lasts.
type Auth struct {
	AccessTTL  time.Duration `default:"15m" min:"1s" help:"How long an access token is valid."`
	RefreshTTL time.Duration `default:"720h" min:"1s" help:"How long a refresh token is valid."`
	KeptFor    time.Duration `default:"5s" min:"0s" max:"1m" help:"How long the verdict on credentials is kept. An API key that is revoked elsewhere, and of which no event tells, is good for as long; 0 asks the account service each time."`
	Kept       int           `default:"10000" min:"1" help:"How many verdicts are kept, about 500 bytes each."`
	Issuer     string        `default:"sluice" help:"Issuer that access tokens name (iss)."`
}

// Services says where each service keeps its rows and where it runs: one field for each service of internal/catalog,
// with the address that is written there.
type Services struct {
	Account  Service `embed:"" prefix:"account-" set:"listen=127.0.0.1:9101"`
	Device   Service `embed:"" prefix:"device-" set:"listen=127.0.0.1:9102"`
	Trip     Service `embed:"" prefix:"trip-" set:"listen=127.0.0.1:9103"`
	Job      Service `embed:"" prefix:"job-" set:"listen=127.0.0.1:9104"`
	Activity Service `embed:"" prefix:"activity-" set:"listen=127.0.0.1:9105"`
}

// Service is where one service keeps its rows and where it runs.
type Service struct {
	Database Secret `help:"Its database, as postgres://… or sqlite:PATH; empty for a SQLite file in the data folder."`
	Addr     string `help:"Where it is reached when it runs apart, as host:port; empty when it runs in this process."`
	Listen   string `default:"${listen}" help:"Where it listens when it is run apart, as host:port."`
}

// Breaker says when calls to a failing service are refused at once.
type Breaker struct {
	Failures int           `default:"5" min:"1" help:"Failures in a row after which calls to a service are refused at once."`
	OpenFor  time.Duration `default:"5s" min:"1ms" help:"How long they are refused before one is tried again."`
	InFlight int           `default:"256" min:"1" help:"Most calls to a service that are under way at once, of one gateway; half of them for one caller."`
	Hedge    bool          `default:"true" negatable:"" help:"Make a cheap read a second time when it takes longer than nineteen in twenty did."`
	Wait     time.Duration `default:"100ms" min:"0s" help:"How long a call waits for one of them to end before it is refused."`
}

// NATS says where events go and how long they stay.
type NATS struct {
	URL            Secret        `name:"url" help:"NATS servers, as nats://host:port and separated by commas; empty for the embedded one."`
	SystemURL      Secret        `name:"system-url" help:"The same servers with a user of their system account, by which it is known which devices are connected; needed for devices to connect to them."`
	IssuerSeed     Secret        `help:"Seed of the account key (SA…) that the servers' auth_callout names as its issuer; needed for devices to connect to them."`
	EventsMaxAge   time.Duration `default:"72h" min:"1s" help:"How long events are kept for those who come back."`
	EventsMaxBytes Size          `default:"1GiB" min:"1MiB" help:"How much room kept events may take."`
}

// MQTT says where devices connect to the embedded broker.
type MQTT struct {
	Addr    string `default:"127.0.0.1:1883" help:"Where devices connect over MQTT, as host:port; port 0 takes a free one, empty lets none connect. With nats.url they connect to those servers."`
	TLSCert string `placeholder:"FILE" help:"Certificate of that listener, in PEM; with mqtt.tls_key it speaks TLS only."`
	TLSKey  string `placeholder:"FILE" help:"Private key of that certificate, in PEM."`
}

// Device is what the device service can be told.
type Device struct {
	OfflineGrace    time.Duration `default:"30s" min:"0s" help:"How long a device whose connection ended may take to come back before it is OFFLINE."`
	RawFor          time.Duration `default:"0s" min:"0s" help:"How long readings are kept as they are; then as count, sum, least, greatest and last of each step. 0 is for ever."`
	RolledStep      time.Duration `default:"5m" min:"1s" help:"How long those steps are."`
	RolledFor       time.Duration `default:"0s" min:"0s" help:"How long the steps are kept. 0 is for ever."`
	RestartWait     time.Duration `default:"90s" min:"1s" help:"How long devices may take to come back after a restart of the broker before they are OFFLINE: one and a half times their keep-alive."`
	KeepCommandsFor time.Duration `default:"2160h" min:"0s" help:"How long commands are kept with their logs from when they are over. 0 is for ever."`
	KeepEventsFor   time.Duration `default:"8760h" min:"0s" help:"How long the events of devices are kept. 0 is for ever."`
	KeepCallsFor    time.Duration `default:"720h" min:"1h" help:"How long it is kept what API keys called to act on devices."`
}

// Camera bounds what streams of cameras may take, and says where images are kept.
type Camera struct {
	Lease          time.Duration `default:"1m" min:"1s" help:"How long whoever starts a stream watches it, unless they call again."`
	Linger         time.Duration `default:"20s" min:"1s" help:"How long a stream goes on when nobody watches it any more."`
	Window         time.Duration `default:"5m" min:"1s" help:"Over which time starts of a stream are counted."`
	Starts         int           `default:"6" min:"1" help:"How often a camera is told to start its stream within that time."`
	StartsByCaller int           `default:"3" min:"1" help:"How often for one caller."`
	CallsPerMinute int           `default:"120" min:"1" max:"6000" help:"How often one caller may start, and how often move, one camera in a minute; up to 20 at once."`
	ImageDir       string        `placeholder:"DIR" help:"Folder for images that cameras take, the same for all gateways; empty for one in the data folder."`
	ImageMaxBytes  Size          `default:"5MiB" min:"1KiB" help:"Largest image."`
	ImageKeepFor   time.Duration `default:"24h" min:"1m" help:"How long images are kept."`
	ImageAddress   time.Duration `default:"15m" min:"1s" help:"How long the address of an image is good."`
}

// Live bounds what subscribers may take.
type Live struct {
	CursorKey        Secret        `help:"Secret under which cursors are signed, the same for all gateways; empty for one made of service_token, else one kept in the data folder."`
	InitTimeout      time.Duration `default:"5s" min:"1s" help:"How long a WebSocket may take to say who it is."`
	IdleTimeout      time.Duration `default:"75s" min:"2s" help:"How long a WebSocket may give no sign of life, pongs included."`
	KeepAlive        time.Duration `default:"25s" min:"1s" help:"How often a quiet client is given a sign of life, and asked for one."`
	WriteTimeout     time.Duration `default:"10s" min:"100ms" help:"How long a client may take nothing of what waits for it."`
	DrainTime        time.Duration `default:"2s" min:"0s" help:"Over how long clients are told to go after the signal to stop."`
	MaxTotal         int           `default:"20000" min:"1" help:"Most open connections, all together."`
	MaxConnections   int           `default:"5000" min:"1" help:"Most open connections of one caller."`
	MaxSubscriptions int           `default:"100" min:"1" help:"Most operations at once on one connection."`
	MaxMessage       Size          `default:"64KiB" min:"1KiB" help:"Largest message of a client."`
	Queue            Size          `default:"256KiB" min:"1KiB" help:"How much may wait for a slow client before it follows the events at its own pace."`
	History          int           `default:"2000" min:"1" help:"How many events are kept in memory for those who come back."`
	HistoryBytes     Size          `default:"16MiB" min:"1KiB" help:"How much room those may take."`
	Compression      bool          `default:"false" help:"Compress large messages for clients that can."`
}

// Quota says what one caller may spend. API keys have limits of their own.
type Quota struct {
	AccountPoints   int `default:"600000" min:"1" max:"1000000000" help:"How many points an account may spend a minute."`
	AnonymousPoints int `default:"6000" min:"1" max:"1000000000" help:"How many points a network address (of IPv6: a /64) may spend a minute without signing in."`
	InFlight        int `default:"256" min:"1" help:"Most requests of one caller at once."`
	Callers         int `default:"100000" min:"100" help:"How many callers are kept in memory, about 300 bytes each; who has not come for the longest time is forgotten first."`
}

// Conduct says when a caller is shut out for what it does.
type Conduct struct {
	Window   time.Duration `default:"1m" min:"1s" help:"In how long failures and repeats of a caller are counted."`
	Failures int           `default:"200" min:"10" help:"Operations of one kind that must fail by the caller's own fault in that time, and be nine in ten of all, for the caller to be refused them."`
	Repeats  int           `default:"120" min:"10" help:"How often a caller may call the same mutation for the same thing in that time."`
	OpenFor  time.Duration `default:"30s" min:"100ms" help:"How long it is refused before one is tried again."`
	Callers  int           `default:"5000" min:"100" help:"How many callers are watched, up to 4 KB each; who has not come for the longest time is forgotten first."`
}

// Overload says when the process has more to do than it can.
type Overload struct {
	QueueTime time.Duration `default:"50ms" min:"0s" help:"How long work that is ready may wait for a processor, in the middle of all, before requests are refused; 0 never refuses any."`
	Interval  time.Duration `default:"250ms" min:"10ms" help:"How often that is looked at. At each look more is refused, or less."`
}

// Redis is what several gateways share.
type Redis struct {
	URL     Secret        `name:"url" help:"Redis in which gateways share their callers' budgets and what they keep of answers, as redis://host:port or rediss://…; empty when there is one gateway."`
	Timeout time.Duration `default:"50ms" min:"1ms" help:"How long Redis is waited for; then each gateway counts by itself, and asks the services instead of the cache."`
}

// Cache says what is kept of the answers of services.
type Cache struct {
	Enabled bool `default:"true" negatable:"" help:"Keep answers of the services for as long as nothing of them is written. Needs a broker, and with several gateways Redis."`
	Sole    bool `default:"false" help:"This gateway is the only one, so that it may keep answers without Redis; all services and a gateway in one process know it by themselves."`
	Memory  Size `default:"64MiB" min:"1MiB" help:"How much memory kept answers may take, about."`
	Largest Size `default:"256KiB" min:"1KiB" help:"Largest answer of a service that is kept."`
}

// Trip is what the trip service can be told.
type Trip struct {
	Tariff Tariff `embed:"" prefix:"tariff-"`
}

// Tariff is what a trip costs, in minor units of the currency (cents).
type Tariff struct {
	Currency       string `default:"EUR" help:"Currency of fees, by its ISO 4217 code."`
	StartFeeMinor  int64  `default:"100" min:"0" help:"Fee for starting a trip, in minor units (cents)."`
	PerKmMinor     int64  `default:"120" min:"0" help:"Fee for a kilometre, in minor units (cents)."`
	PerMinuteMinor int64  `default:"19" min:"0" help:"Fee for a minute, in minor units (cents)."`
}

// Job says how due jobs are run.
type Job struct {
	Workers             int           `default:"8" min:"1" max:"1024" help:"How many jobs run at once in one process."`
	KeepFinishedFor     time.Duration `default:"8760h" min:"0s" help:"How long jobs that are finished are kept with their runs, from when they last changed. 0 is for ever."`
	WebhookAllowPrivate bool          `default:"false" help:"Let webhooks call loopback, link-local and private addresses."`
}

// Telemetry says what is measured and where it goes.
type Telemetry struct {
	OTLPEndpoint string  `help:"Where traces are sent over OTLP/gRPC, as host:port or http(s)://host:port; empty for nowhere."`
	TraceRatio   float64 `default:"1.0" min:"0" max:"1" help:"Share of requests that are traced, from 0 to 1."`
	Metrics      bool    `default:"true" negatable:"" help:"Serve Prometheus metrics at /metrics."`
}

// Get returns the settings of the named service. The error lists the names that exist.
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

// DSN gives the database of the named service, as sqldb.Open takes it: the configured one, or a
// SQLite file in the data folder. It may hold a password.
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
