package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/seal"
)

const minToken = 16

// Validate checks each value, and the rules between values. The error has one line per problem, with the setting and
// the remedy. kong calls it after parsing.
func (c Config) Validate() error {
	all, err := settings(&c)
	if err != nil {
		return err
	}
	errs := c.crossChecks()
	for _, s := range all {
		errs = append(errs, s.checkBounds())
	}
	return errors.Join(errs...)
}

func (c Config) crossChecks() []error {
	errs := []error{
		notEmpty("data", c.Data), notEmpty("auth.issuer", c.Auth.Issuer),
		checkListen("addr", c.Addr), c.checkDemo(), c.checkTimes(), c.checkToken(), c.checkTrip(),
		checkServers("nats.url", c.NATS.URL), checkCredentials("nats", c.NATS.URL, c.NATS.Unauthenticated),
		checkCredentials("redis", c.Redis.URL, c.Redis.Unauthenticated), c.checkDevices(), checkEndpoint("telemetry.otlp_endpoint", c.Telemetry.OTLPEndpoint), checkPublicURL("http.public_url", c.HTTP.PublicURL),
	}
	errs = append(errs, checkRedis("redis.url", c.Redis.URL), c.checkDocuments(), c.checkSealing())
	for _, origin := range c.HTTP.CORSOrigins {
		errs = append(errs, checkOrigin("http.cors_origins", origin))
	}
	for _, network := range c.HTTP.TrustedProxies {
		errs = append(errs, checkNetwork("http.trusted_proxies", network))
	}
	return append(errs, c.checkServices()...)
}

func (c Config) checkSealing() error {
	if c.SealingKeys == "" {
		return nil
	}
	if _, err := seal.Parse(c.SealingKeys.Reveal()); err != nil {
		return invalid("sealing_keys", "%v", err)
	}
	return nil
}

func (c Config) checkDevices() error {
	if (c.MQTT.TLSCert == "") != (c.MQTT.TLSKey == "") {
		return invalid("mqtt.tls_key", "set both the certificate and its key, or none")
	}
	if raw := c.Device.RawRetention; raw != 0 && raw < time.Hour {
		return invalid("device.raw_retention", "must be at least 1h, since devices may send messages again")
	}
	if kept := c.Device.CommandRetention; kept != 0 && kept < 24*time.Hour {
		return invalid("device.command_retention", "must be at least 24h, since clients may retry calls")
	}
	if kept := c.Device.EventRetention; kept != 0 && kept < time.Hour {
		return invalid("device.event_retention", "must be at least 1h")
	}
	if kept := c.Job.FinishedRetention; kept != 0 && kept < 24*time.Hour {
		return invalid("job.finished_retention", "must be at least 24h, since clients may retry calls")
	}
	if c.Device.RollupStep%time.Second != 0 {
		return invalid("device.rollup_step", "must be whole seconds")
	}
	if rolled := c.Device.RollupRetention; rolled != 0 && (c.Device.RawRetention == 0 || rolled < c.Device.RawRetention) {
		return invalid("device.rollup_retention", "must be at least device.raw_retention, which must be set")
	}
	if c.MQTT.Addr == "" {
		return nil
	}
	return checkListen("mqtt.addr", c.MQTT.Addr)
}

func invalid(path, format string, args ...any) error {
	return fmt.Errorf("%s: %s (--%s, %s)", path, fmt.Sprintf(format, args...), flagOf(path), envOf(path))
}

func (c Config) checkDocuments() error {
	if c.Documents.OnlyTrusted && c.Documents.Manifest == "" {
		return invalid("documents.only_trusted", "documents.manifest must name the file of trusted documents")
	}
	return nil
}

func (c Config) checkDemo() error {
	if c.Demo && !c.DemoPublic && !isLoopback(c.Addr) {
		return invalid("demo", "addr (%s) is not on loopback, and in the demo everybody can sign in as ADMIN: set demo_public to allow it", c.Addr)
	}
	return nil
}

func notEmpty(path, value string) error {
	if strings.TrimSpace(value) == "" {
		return invalid(path, "it must not be empty")
	}
	return nil
}

// checkBounds checks a number against the bounds in its tags, or a word against its list.
func (s setting) checkBounds() error {
	if err := s.checkEnum(s.value.Target); err != nil {
		return invalid(s.path, "%v", err)
	}
	for _, bound := range []struct {
		tag, says string
		sign      float64
	}{{"min", "at least", 1}, {"max", "at most", -1}} {
		if !s.value.Tag.Has(bound.tag) {
			continue
		}
		limit, err := s.decode(s.value.Tag.Get(bound.tag))
		if err != nil {
			return invalid(s.path, "its declared bound: %v", err)
		}
		// Negated, so that NaN is out of range.
		if !(bound.sign*number(s.value.Target) >= bound.sign*number(limit)) {
			return invalid(s.path, "%s is out of range: it must be %s %s", plain(s.value.Target), bound.says, plain(limit))
		}
	}
	return nil
}

func number(v reflect.Value) float64 {
	if v.CanFloat() {
		return v.Float()
	}
	return float64(v.Int())
}

func (c Config) checkTimes() error {
	var errs []error
	if c.CallTimeout > c.HTTP.RequestTimeout {
		errs = append(errs, invalid("call_timeout", "%s is longer than http.request_timeout (%s), so a call could outlive its request: shorten it or lengthen the other", brief(c.CallTimeout), brief(c.HTTP.RequestTimeout)))
	}
	if 2*c.Live.KeepAlive > c.Live.IdleTimeout {
		errs = append(errs, invalid("live.keep_alive", "%s is more than half of live.idle_timeout (%s), so pings to clients would be too late: shorten it", brief(c.Live.KeepAlive), brief(c.Live.IdleTimeout)))
	}
	if c.Auth.AccessTTL >= c.Auth.RefreshTTL {
		errs = append(errs, invalid("auth.refresh_ttl", "%s is not longer than auth.access_ttl (%s), so no session could be refreshed: lengthen it", brief(c.Auth.RefreshTTL), brief(c.Auth.AccessTTL)))
	}
	return errors.Join(errs...)
}

func (c Config) checkTrip() error {
	if _, err := c.Trip.SpeedLimits(); err != nil {
		return err
	}
	if !regexp.MustCompile(`^[A-Z]{3}$`).MatchString(c.Trip.Tariff.Currency) {
		return invalid("trip.tariff.currency", "%q is not an ISO 4217 code such as EUR", c.Trip.Tariff.Currency)
	}
	return nil
}

func (c Config) checkServices() []error {
	var errs []error
	owner := map[string]string{}
	for _, name := range catalog.Names() {
		service, err := c.Services.Get(name)
		if err != nil {
			return []error{err}
		}
		dsn, err := c.DSN(name)
		if err != nil {
			return []error{err}
		}
		path := "services." + name
		errs = append(errs, checkListen(path+".listen", service.Listen), checkDial(path+".addr", service.Addr), checkDatabase(path+".database", service.Database))
		if other := owner[dsn]; other != "" {
			errs = append(errs, invalid(path+".database", "it is the database of services.%s too: give each service its own", other))
		}
		owner[dsn] = name
	}
	return errs
}

// checkToken requires the shared secret if other machines can reach a service.
func (c Config) checkToken() error {
	if c.ServiceToken != "" {
		if len(c.ServiceToken) < minToken {
			return invalid("service_token", "it is too easy to guess: make it at least %d characters long", minToken)
		}
		return nil
	}
	for _, name := range catalog.Names() {
		service, err := c.Services.Get(name)
		if err != nil {
			return err
		}
		for _, at := range []struct{ key, addr string }{{"listen", service.Listen}, {"addr", service.Addr}} {
			if at.addr != "" && !allLoopback(at.addr) {
				return invalid("service_token", "it is empty, and services.%s.%s (%s) is not on loopback: set it to a secret of at least %d characters, the same for the gateway and all services", name, at.key, at.addr, minToken)
			}
		}
	}
	return nil
}

// allLoopback reports whether all addresses of a list with commas are on loopback.
func allLoopback(addrs string) bool {
	for addr := range strings.SplitSeq(addrs, ",") {
		if !isLoopback(strings.TrimSpace(addr)) {
			return false
		}
	}
	return true
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return true // checkListen and checkDial report it
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func checkListen(path, addr string) error {
	if _, _, err := splitAddr(addr); err != nil {
		return invalid(path, "%q is not an address to listen on: write host:port, such as 127.0.0.1:8080", addr)
	}
	return nil
}

func checkDial(path, addrs string) error {
	if addrs == "" {
		return nil
	}
	for addr := range strings.SplitSeq(addrs, ",") {
		if host, port, err := splitAddr(strings.TrimSpace(addr)); err != nil || host == "" || port == 0 {
			return invalid(path, "%q is not an address to call: write host:port, such as 127.0.0.1:9101, several with commas, or nothing for a service in this process", addr)
		}
	}
	return nil
}

func splitAddr(addr string) (string, uint64, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strings.ContainsAny(host, "/ ") {
		return "", 0, fmt.Errorf("bad address %q", addr)
	}
	return host, number, nil
}

func checkDatabase(path string, dsn Secret) error {
	scheme, rest, _ := strings.Cut(dsn.Reveal(), ":")
	switch {
	case dsn == "", scheme == "sqlite" && rest != "":
		return nil
	case scheme == "postgres", scheme == "postgresql":
		if _, err := url.Parse(dsn.Reveal()); err == nil && strings.HasPrefix(rest, "//") {
			return nil
		}
	}
	return invalid(path, "it does not name a database: write postgres://user:password@host/name or sqlite:PATH")
}

func checkPublicURL(path, text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return invalid(path, "%q is not an address such as https://sluice.example.org", text)
	}
	return nil
}

func checkServers(path string, servers Secret) error {
	if servers == "" {
		return nil
	}
	for server := range strings.SplitSeq(servers.Reveal(), ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		if err != nil || u.Host == "" || !strings.Contains(" nats tls ws wss ", " "+u.Scheme+" ") {
			return invalid(path, "it does not name NATS servers: write nats://host:4222, several with commas between, or nothing for the embedded one")
		}
	}
	return nil
}

// checkCredentials requires credentials for servers that other machines reach: a client that can write to them can change what
// all callers see.
func checkCredentials(area string, servers Secret, allowed bool) error {
	if servers == "" || allowed {
		return nil
	}
	for server := range strings.SplitSeq(servers.Reveal(), ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		if err != nil || u.Host == "" || u.User != nil || isLoopback(net.JoinHostPort(u.Hostname(), "0")) {
			continue // malformed URLs are reported elsewhere
		}
		return invalid(area+".url", "it has no user and password, and %s is not on loopback: add them, or set %s.unauthenticated", u.Hostname(), area)
	}
	return nil
}

func checkRedis(path string, server Secret) error {
	if server == "" {
		return nil
	}
	u, err := url.Parse(server.Reveal())
	if err != nil || u.Host == "" || (u.Scheme != "redis" && u.Scheme != "rediss") {
		return invalid(path, "it does not name a Redis server: write redis://host:6379, or nothing for none")
	}
	return nil
}

func checkNetwork(path, network string) error {
	if _, err := netip.ParsePrefix(network); err != nil {
		return invalid(path, "%q is not a network: write an address and the length of its prefix, such as 10.0.0.0/8", network)
	}
	return nil
}

func checkEndpoint(path, endpoint string) error {
	addr := endpoint
	if u, err := url.Parse(endpoint); err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.Trim(u.Path+u.RawQuery+u.Fragment, "/") == "" {
		addr = u.Host
	}
	if host, port, err := splitAddr(addr); endpoint != "" && (err != nil || host == "" || port == 0) {
		return invalid(path, "%q is not an OTLP endpoint: write host:4317 or https://host:4317", endpoint)
	}
	return nil
}

func checkOrigin(path, origin string) error {
	if origin == "*" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || origin != u.Scheme+"://"+u.Host {
		return invalid(path, "%q is not an origin: write scheme, host and port only, such as https://app.example.org, or *", origin)
	}
	return nil
}
