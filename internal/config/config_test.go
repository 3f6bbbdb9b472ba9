package config_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/config"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

const longToken = "0123456789abcdef"

func TestDocAndDefaultsMatchGoldenFiles(t *testing.T) {
	t.Parallel()
	var doc, defaults bytes.Buffer
	if err := config.Doc(&doc); err != nil {
		t.Fatal(err)
	}
	if err := config.Print(&defaults, defaultConfig(t)); err != nil {
		t.Fatal(err)
	}
	golden(t, "doc.golden", doc.Bytes())
	golden(t, "default.golden", defaults.Bytes())
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (run with -update when that is meant):\n%s", path, got)
	}
}

func TestPrintedConfigLoadsWithSameValues(t *testing.T) {
	t.Parallel()
	cfg := defaultConfig(t)
	cfg.Data = "a \"b\"\t☃ #x: y"
	cfg.HTTP.CORSOrigins = []string{"https://a.example", "http://b.example:8080"}
	cfg.HTTP.TrustedProxies = []string{"10.0.0.0/8", "fd00::/8"}
	cfg.HTTP.MaxBody = 1_500_000
	cfg.HTTP.RequestTimeout = 90*time.Minute + 1500*time.Millisecond
	cfg.Telemetry.TraceRatio = 0.25
	var printed bytes.Buffer
	if err := config.Print(&printed, cfg); err != nil {
		t.Fatal(err)
	}
	again, err := config.Load(nil, write(t, printed.String()))
	if err != nil {
		t.Fatal(err)
	}
	again.File = ""
	if got, want := fmt.Sprintf("%#v", again), fmt.Sprintf("%#v", cfg); got != want {
		t.Errorf("read back\n%s\nwrote\n%s", got, want)
	}
}

func TestSecretsPrintedAreMasked(t *testing.T) {
	t.Parallel()
	const hidden = "hunter2-hunter2-hunter2"
	cfg := defaultConfig(t)
	cfg.ServiceToken = hidden
	cfg.NATS.URL = "nats://me:" + hidden + "@host"
	cfg.Services.Trip.Database = "postgres://me:" + hidden + "@host/trip"
	var printed bytes.Buffer
	if err := config.Print(&printed, cfg); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{printed.String(), string(asJSON), fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg.ServiceToken)} {
		if strings.Contains(shown, hidden) || !strings.Contains(shown, "********") {
			t.Errorf("not masked: %s", shown)
		}
	}
	if cfg.ServiceToken.Reveal() != hidden {
		t.Error("Reveal gives something else")
	}
}

func TestSecretsInvalidAreMaskedInErrors(t *testing.T) {
	t.Parallel()
	const hidden = "wachtwoord"
	for _, environ := range [][]string{
		{"SLUICE_SERVICE_TOKEN=" + hidden},
		{"SLUICE_NATS_URL=" + hidden},
		{"SLUICE_REDIS_URL=" + hidden},
		{"SLUICE_SERVICES_TRIP_DATABASE=" + hidden},
		{"SLUICE_SERVICES_TRIP_DATABASE=postgres://a:" + hidden + "@h:port/x"},
		{"SLUICE_SERVICES_TRIP_DATABSE=" + hidden},
		{"SLUICE_CONFIG=" + write(t, "service_token: "+hidden+"\n  x: [")},
		{"SLUICE_CONFIG=" + write(t, "service_token: !"+hidden+" x")},
		{"SLUICE_CONFIG=" + write(t, "service_token: ["+hidden+"]")},
		{"SLUICE_CONFIG=" + write(t, "service_token: |"+hidden)},
		{"SLUICE_CONFIG=" + write(t, "service_token: !"+hidden)},
		{"SLUICE_CONFIG=" + write(t, "service_token: \""+hidden+"\nx: 1")},
	} {
		_, err := config.Load(environ, "")
		if err == nil || strings.Contains(err.Error(), hidden) {
			t.Errorf("%q: %v", environ, err)
		}
	}
}

func TestDSNOfServiceIsConfiguredOrInDataFolder(t *testing.T) {
	t.Parallel()
	cfg := defaultConfig(t)
	cfg.Data = "/var/lib/sluice"
	cfg.Services.Job.Database = "postgres://host/job"
	for service, want := range map[string]string{"trip": "sqlite:/var/lib/sluice/trip.db", "job": "postgres://host/job"} {
		if got, err := cfg.DSN(service); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", service, got, err, want)
		}
	}
	if _, err := cfg.DSN("tripp"); err == nil || !strings.Contains(err.Error(), `no service "tripp"`) {
		t.Errorf("unknown service: %v", err)
	}
	for i, name := range catalog.Names() {
		service, err := cfg.Services.Get(name)
		if want := fmt.Sprintf("127.0.0.1:910%d", i+1); err != nil || service.Listen != want {
			t.Errorf("%s listens on %q, %v; want %q", name, service.Listen, err, want)
		}
	}
}

func defaultConfig(t *testing.T) config.Config {
	t.Helper()
	cfg, err := config.Default()
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// write gives the path of a new file with this text.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sluice.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestServicesHaveOneFieldEachWithTheAddressOfTheCatalog(t *testing.T) {
	t.Parallel()
	services := defaultConfig(t).Services
	for _, s := range catalog.Services() {
		if got, err := services.Get(s.Name); err != nil || got.Listen != s.Listen {
			t.Errorf("services.%s listens at %q (%v), the catalog says %q", s.Name, got.Listen, err, s.Listen)
		}
	}
	if got, want := reflect.TypeFor[config.Services]().NumField(), len(catalog.Names()); got != want {
		t.Errorf("there are settings for %d services, and %d services", got, want)
	}
}
