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
)

const minToken = 16

// Validate checks what one value alone cannot tell, and the bounds of each. The error has a line
// for each problem, which names the setting and says what to do. kong calls it after parsing.
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
		checkListen("addr", c.Addr), c.checkTimes(), c.checkToken(), c.checkCurrency(),
		checkServers("nats.url", c.NATS.URL), checkServers("nats.system_url", c.NATS.SystemURL), c.checkDevices(), checkEndpoint("telemetry.otlp_endpoint", c.Telemetry.OTLPEndpoint), checkPublicURL("http.public_url", c.HTTP.PublicURL),
	}
	errs = append(errs, checkRedis("redis.url", c.Redis.URL), c.checkDocuments())
	for _, origin := range c.HTTP.CORSOrigins {
		errs = append(errs, checkOrigin("http.cors_origins", origin))
	}
	for _, network := range c.HTTP.TrustedProxies {
		errs = append(errs, checkNetwork("http.trusted_proxies", network))
	}
	return append(errs, c.checkServices()...)
}

// checkDevices checks what devices need to connect.
func (c Config) checkDevices() error {
	if (c.MQTT.TLSCert == "") != (c.MQTT.TLSKey == "") {
		return wrong("mqtt.tls_key", "a certificate and its key go together")
	}
	if (c.NATS.SystemURL == "") != (c.NATS.IssuerSeed == "") {
		return wrong("nats.issuer_seed", "it and nats.system_url go together")
	}
	if c.NATS.SystemURL != "" && c.NATS.URL == "" {
		return wrong("nats.system_url", "it is for the servers of nats.url, which is empty")
	}
	if raw := c.Device.RawFor; raw != 0 && raw < time.Hour {
		return wrong("device.raw_for", "must be an hour at least, since messages may come again")
	}
	if kept := c.Device.KeepCommandsFor; kept != 0 && kept < 24*time.Hour {
		return wrong("device.keep_commands_for", "must be a day at least, since calls may come again")
	}
	if kept := c.Device.KeepEventsFor; kept != 0 && kept < time.Hour {
		return wrong("device.keep_events_for", "must be an hour at least")
	}
	if kept := c.Job.KeepFinishedFor; kept != 0 && kept < 24*time.Hour {
		return wrong("job.keep_finished_for", "must be a day at least, since calls may come again")
	}
	if c.Device.RolledStep%time.Second != 0 {
		return wrong("device.rolled_step", "must be whole seconds")
	}
	if rolled := c.Device.RolledFor; rolled != 0 && (c.Device.RawFor == 0 || rolled < c.Device.RawFor) {
		return wrong("device.rolled_for", "must be as long as device.raw_for at least, which must be set")
	}
	if c.MQTT.Addr == "" {
		return nil
	}
	return checkListen("mqtt.addr", c.MQTT.Addr)
}

// wrong names a setting with all that it can be changed by.
func wrong(path, format string, args ...any) error {
	return fmt.Errorf("%s: %s (--%s, %s)", path, fmt.Sprintf(format, args...), flagOf(path), envOf(path))
}

func (c Config) checkDocuments() error {
	if c.Documents.OnlyTrusted && c.Documents.Manifest == "" {
		return wrong("documents.only_trusted", "documents.manifest must name the file of trusted documents")
	}
	return nil
}

func notEmpty(path, value string) error {
	if strings.TrimSpace(value) == "" {
		return wrong(path, "it must not be empty")
	}
	return nil
}

// checkBounds holds a number to the bounds in its tags, and a word to its list.
func (s setting) checkBounds() error {
	if err := s.checkEnum(s.value.Target); err != nil {
		return wrong(s.path, "%v", err)
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
			return wrong(s.path, "its declared bound: %v", err)
		}
		// Written so that NaN is out of bounds.
		if !(bound.sign*number(s.value.Target) >= bound.sign*number(limit)) {
			return wrong(s.path, "%s is out of range: it must be %s %s", plain(s.value.Target), bound.says, plain(limit))
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
		errs = append(errs, wrong("call_timeout", "%s is longer than http.request_timeout (%s), so a call could outlive its request: shorten it or lengthen the other", brief(c.CallTimeout), brief(c.HTTP.RequestTimeout)))
	}
	if 2*c.Live.KeepAlive > c.Live.IdleTimeout {
		errs = append(errs, wrong("live.keep_alive", "%s is more than half of live.idle_timeout (%s), so clients would be asked for a sign of life too late: shorten it", brief(c.Live.KeepAlive), brief(c.Live.IdleTimeout)))
	}
	if c.Auth.AccessTTL >= c.Auth.RefreshTTL {
		errs = append(errs, wrong("auth.refresh_ttl", "%s is not longer than auth.access_ttl (%s), so nothing could be refreshed: lengthen it", brief(c.Auth.RefreshTTL), brief(c.Auth.AccessTTL)))
	}
	return errors.Join(errs...)
}

func (c Config) checkCurrency() error {
	if !regexp.MustCompile(`^[A-Z]{3}$`).MatchString(c.Trip.Tariff.Currency) {
		return wrong("trip.tariff.currency", "%q is not an ISO 4217 code such as EUR", c.Trip.Tariff.Currency)
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
			errs = append(errs, wrong(path+".database", "it is the database of services.%s too: give each service its own", other))
		}
		owner[dsn] = name
	}
	return errs
}

// checkToken wants the shared secret as soon as a service can be reached from another machine.
func (c Config) checkToken() error {
	if c.ServiceToken != "" {
		if len(c.ServiceToken) < minToken {
			return wrong("service_token", "it is too easy to guess: make it at least %d characters long", minToken)
		}
		return nil
	}
	for _, name := range catalog.Names() {
		service, err := c.Services.Get(name)
		if err != nil {
			return err
		}
		for _, at := range []struct{ key, addr string }{{"listen", service.Listen}, {"addr", service.Addr}} {
			if at.addr != "" && !isLoopback(at.addr) {
				return wrong("service_token", "it is empty, and services.%s.%s (%s) is not on loopback: set it to a secret of at least %d characters, the same for the gateway and all services", name, at.key, at.addr, minToken)
			}
		}
	}
	return nil
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return true // said elsewhere
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func checkListen(path, addr string) error {
	if _, _, err := splitAddr(addr); err != nil {
		return wrong(path, "%q is not an address to listen on: write host:port, such as 127.0.0.1:8080", addr)
	}
	return nil
}

func checkDial(path, addr string) error {
	host, port, err := splitAddr(addr)
	if addr != "" && (err != nil || host == "" || port == 0) {
		return wrong(path, "%q cannot be called: write host:port, such as 127.0.0.1:9101, or nothing for a service in this process", addr)
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

// checkDatabase does not show the name: it may hold a password.
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
	return wrong(path, "it does not name a database: write postgres://user:password@host/name or sqlite:PATH")
}

func checkPublicURL(path, text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return wrong(path, "%q is not an address such as https://sluice.example.org", text)
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
			return wrong(path, "it does not name NATS servers: write nats://host:4222, several with commas between, or nothing for the embedded one")
		}
	}
	return nil
}

func checkRedis(path string, server Secret) error {
	if server == "" {
		return nil
	}
	u, err := url.Parse(server.Reveal())
	if err != nil || u.Host == "" || (u.Scheme != "redis" && u.Scheme != "rediss") {
		return wrong(path, "it does not name a Redis server: write redis://host:6379, or nothing for none")
	}
	return nil
}

func checkNetwork(path, network string) error {
	if _, err := netip.ParsePrefix(network); err != nil {
		return wrong(path, "%q is not a network: write an address and the length of its prefix, such as 10.0.0.0/8", network)
	}
	return nil
}

func checkEndpoint(path, endpoint string) error {
	addr := endpoint
	if u, err := url.Parse(endpoint); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		addr = u.Host
	}
	if host, port, err := splitAddr(addr); endpoint != "" && (err != nil || host == "" || port == 0) {
		return wrong(path, "%q is not an OTLP endpoint: write host:4317 or https://host:4317", endpoint)
	}
	return nil
}

func checkOrigin(path, origin string) error {
	if origin == "*" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || origin != u.Scheme+"://"+u.Host {
		return wrong(path, "%q is not an origin: write scheme, host and port only, such as https://app.example.org, or *", origin)
	}
	return nil
}
