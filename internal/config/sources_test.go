package config_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sluicehq/sluice/internal/config"
)

// commandLine is wired as cmd/sluice is.
type commandLine struct {
	Serve struct {
		config.Config `embed:""`
	} `cmd:"" help:"Run everything in one process."`
	Service struct {
		Name          string `arg:"" enum:"account,device,trip,job,activity" help:"Which one."`
		config.Config `embed:""`
	} `cmd:"" help:"Run one service alone."`
	Export struct {
		Data string `default:"out" help:"Folder to write to."`
	} `cmd:"" help:"A command without settings, one of whose flags has the name of one."`
}

func parse(t *testing.T, environ []string, args ...string) (*commandLine, error) {
	t.Helper()
	var cli commandLine
	parser, err := kong.New(&cli, kong.Name("sluice"), config.Sources(environ))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return &cli, err
}

func TestSourcesFillEmbeddedConfigs(t *testing.T) {
	t.Parallel()
	file := write(t, "addr: 127.0.0.1:1\ndata: /from/file\nhttp:\n  max_body: 2MiB\n  cors_origins: [https://a.example, https://b.example]\njob: {workers: 3}\n")
	environ := []string{"SLUICE_CONFIG=" + file, "SLUICE_DATA=/from/env", "SLUICE_ADDR=127.0.0.1:2", "PATH=/bin", "SLUICE_TEST_REQUIRE=nats"}
	cli, err := parse(t, environ, "serve", "--demo", "--addr", "127.0.0.1:3", "--no-telemetry-metrics")
	if err != nil {
		t.Fatal(err)
	}
	got := cli.Serve
	switch {
	case !got.Demo, got.Addr != "127.0.0.1:3", got.Telemetry.Metrics:
		t.Errorf("flags: %+v", got)
	case got.Data != "/from/env", got.File != file:
		t.Errorf("variables: %+v", got)
	case got.HTTP.MaxBody != 2<<20, got.Job.Workers != 3, strings.Join(got.HTTP.CORSOrigins, " ") != "https://a.example https://b.example":
		t.Errorf("file: %+v", got)
	case got.HTTP.RequestTimeout != 10*time.Second, got.Services.Job.Listen != "127.0.0.1:9104":
		t.Errorf("defaults: %+v", got)
	}
	if cli, err = parse(t, environ, "service", "trip"); err != nil || cli.Service.Addr != "127.0.0.1:2" || cli.Service.Job.Workers != 3 {
		t.Errorf("service: %v, %+v", err, cli.Service)
	}
}

func TestCommandWithoutConfigIgnoresSources(t *testing.T) {
	t.Parallel()
	cli, err := parse(t, []string{"SLUICE_DATA=/from/env", "SLUICE_TYPO=1", "SLUICE_CONFIG=/nowhere"}, "export")
	if err != nil || cli.Export.Data != "out" {
		t.Errorf("%q, %v", cli.Export.Data, err)
	}
}

func TestHelpNamesVariablesOfSettings(t *testing.T) {
	t.Parallel()
	serve := help(t, "serve")
	for _, want := range []string{"--config=FILE Config file in YAML. ($SLUICE_CONFIG)", "($SLUICE_DATA)", "--services-trip-listen=\"127.0.0.1:9103\"", "($SLUICE_HTTP_MAX_BODY)"} {
		if !strings.Contains(serve, want) {
			t.Errorf("%q is not in the help: %s", want, serve)
		}
	}
	if export := help(t, "export"); strings.Contains(export, "SLUICE_") {
		t.Errorf("a flag that is no setting has a variable: %s", export)
	}
}

// help gives the help of a command with single spaces. The program ends after it, as kong expects of Exit.
func help(t *testing.T, command string) (text string) {
	t.Helper()
	var out bytes.Buffer
	exit := func(int) { panic("exit") }
	parser, err := kong.New(&commandLine{}, config.Sources([]string{"SLUICE_TYPO=1"}), kong.Writers(&out, &out), kong.Exit(exit))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = recover()
		text = strings.Join(strings.Fields(out.String()), " ")
	}()
	_, _ = parser.Parse([]string{command, "--help"})
	return ""
}

func TestSourcesHaveAnOrderOfPrecedence(t *testing.T) {
	t.Parallel()
	secret := write(t, "from-secret-file-1234\n")
	for _, test := range []struct {
		name, file string
		environ    []string
		args       []string
		want       string
	}{
		{name: "nothing", want: ""},
		{name: "file", file: "service_token: from-config-file-1234", want: "from-config-file-1234"},
		{name: "block scalar", file: "service_token: |\n  from-config-file-1234\n", want: "from-config-file-1234"},
		{name: "secret file over file", file: "service_token: from-config-file-1234", environ: []string{"SLUICE_SERVICE_TOKEN_FILE=" + secret}, want: "from-secret-file-1234"},
		{name: "variable over secret file", environ: []string{"SLUICE_SERVICE_TOKEN_FILE=" + secret, "SLUICE_SERVICE_TOKEN=from-variable-123"}, want: "from-variable-123"},
		{name: "empty variable over file", file: "service_token: from-config-file-1234", environ: []string{"SLUICE_SERVICE_TOKEN="}, want: ""},
		{name: "flag over all", file: "service_token: from-config-file-1234", environ: []string{"SLUICE_SERVICE_TOKEN=from-variable-123"}, args: []string{"--service-token=from-flag-1234567"}, want: "from-flag-1234567"},
		{name: "flag over secret file", environ: []string{"SLUICE_SERVICE_TOKEN_FILE=" + secret}, args: []string{"--service-token=from-flag-1234567"}, want: "from-flag-1234567"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cli, err := parse(t, test.environ, append([]string{"serve", "--config", write(t, test.file)}, test.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			if got := cli.Serve.ServiceToken.Reveal(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestListsHaveOneFormPerSource(t *testing.T) {
	t.Parallel()
	const both = "https://a.example,https://b.example"
	for _, test := range []struct {
		name, file string
		environ    []string
		args       []string
		want       string
	}{
		{name: "none", want: ""},
		{name: "block list", file: "http:\n  cors_origins:\n    - https://a.example\n    - https://b.example # why\n", want: both},
		{name: "commas in the file", file: "http: {cors_origins: \"" + both + "\"}", want: both},
		{name: "variable", file: "http: {cors_origins: ['*']}", environ: []string{"SLUICE_HTTP_CORS_ORIGINS=" + both}, want: both},
		{name: "emptied by variable", file: "http: {cors_origins: ['*']}", environ: []string{"SLUICE_HTTP_CORS_ORIGINS="}, want: ""},
		{name: "empty list", file: "http: {cors_origins: []}", want: ""},
		{name: "flag", environ: []string{"SLUICE_HTTP_CORS_ORIGINS=*"}, args: []string{"--http-cors-origins=" + both}, want: both},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cli, err := parse(t, test.environ, append([]string{"serve", "--config", write(t, test.file)}, test.args...)...)
			if got := strings.Join(cli.Serve.HTTP.CORSOrigins, ","); err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestVariablesOfKubernetesAndTestsAreIgnored(t *testing.T) {
	t.Parallel()
	environ := []string{
		"HOME=/", "SLUICE_TEST_ANYTHING=1", "SLUICE_SERVICE_HOST=10.0.0.1", "SLUICE_SERVICE_PORT=80", "SLUICE_SERVICE_PORT_HTTP=80",
		"SLUICE_PORT=tcp://10.0.0.1:80", "SLUICE_PORT_80_TCP=tcp://10.0.0.1:80", "SLUICE_TRIP_PORT_80_TCP_ADDR=10.0.0.1", "SLUICE_TRIP_SERVICE_HOST=10.0.0.1",
	}
	if _, err := config.Load(environ, ""); err != nil {
		t.Error(err)
	}
}

func TestInvalidVariablesAreErrorsThatNameThem(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ entry, want string }{
		{"SLUICE_ADRR=x", "unknown variable SLUICE_ADRR; did you mean SLUICE_ADDR?"},
		{"SLUICE_ADDRESS=x", "unknown variable SLUICE_ADDRESS; did you mean SLUICE_ADDR?"},
		{"SLUICE_DATABASE_TRIP_FILE=x", "unknown variable SLUICE_DATABASE_TRIP_FILE; did you mean SLUICE_SERVICES_TRIP_DATABASE_FILE?"},
		{"SLUICE_CONFIGURATION_OF_WEATHER=x", "unknown variable SLUICE_CONFIGURATION_OF_WEATHER: `sluice config doc` lists all settings"},
		{"SLUICE_ADDR_FILE=x", "unknown variable SLUICE_ADDR_FILE: only secrets are read from files; set SLUICE_ADDR"},
		{"SLUICE_PORT=8080", "unknown variable SLUICE_PORT"},
		{"SLUICE_JOB_WORKERS=many", "SLUICE_JOB_WORKERS: "},
		{"SLUICE_JOB_WORKERS=", "SLUICE_JOB_WORKERS: "},
		{"SLUICE_DEMO=perhaps", "SLUICE_DEMO: "},
		{"SLUICE_CALL_TIMEOUT=3", "SLUICE_CALL_TIMEOUT: expected duration"},
		{"SLUICE_HTTP_MAX_BODY=1 furlong", `SLUICE_HTTP_MAX_BODY: "1 furlong" is not a size`},
		{"SLUICE_LOG_LEVEL=loud", `SLUICE_LOG_LEVEL: "loud" is not one of debug, info, warn, error`},
		{"SLUICE_TELEMETRY_TRACE_RATIO=half", "SLUICE_TELEMETRY_TRACE_RATIO: "},
		{"SLUICE_SERVICE_TOKEN_FILE=/nowhere", "SLUICE_SERVICE_TOKEN_FILE: open /nowhere: "},
		{"SLUICE_SERVICE_TOKEN_FILE=" + write(t, "\n"), "is empty"},
		{"SLUICE_SERVICE_TOKEN_FILE=" + write(t, strings.Repeat("x", 70_000)), "is larger than 64KiB"},
		{"SLUICE_CONFIG=/nowhere", "read the config file: open /nowhere: "},
	} {
		t.Run(test.entry[:min(40, len(test.entry))], func(t *testing.T) {
			t.Parallel()
			_, err := parse(t, []string{test.entry}, "serve")
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, test.want)
			}
		})
	}
}

func TestInvalidFilesAreErrorsThatNameTheLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, text, want string }{
		{"unknown key", "data: x\nhttp:\n  max_bdoy: 1MiB", ":3: unknown key http.max_bdoy; did you mean http.max_body?"},
		{"unknown block", "htpp:\n  max_body: 1MiB", ":1: unknown key htpp; did you mean http?"},
		{"key in the wrong block", "trip:\n  database: sqlite:x", ":2: unknown key trip.database; did you mean services.trip.database?"},
		{"kebab key", "http: {max-body: 1}", ":1: unknown key http.max-body; did you mean http.max_body?"},
		{"merge key", "<<: {addr: x}", ":1: unknown key <<"},
		{"not from the file", "config: other.yaml", ":1: unknown key config"},
		{"bad value", "job:\n  workers: many", ":2: job.workers: "},
		{"bad word", "log: {format: xml}", `:1: log.format: "xml" is not one of text, json`},
		{"bad item", "http: {cors_origins: [[x]]}", ":1: http.cors_origins: "},
		{"list for a value", "addr: [a, b]", ":1: addr: this setting takes one value, not a list"},
		{"block for a value", "addr: {host: a}", ":1: addr: this setting takes a value, not a block"},
		{"value for a block", "http: 10s", ":1: http is a block of settings and takes no value"},
		{"no value", "addr:\ndata: x", ": addr: the value is missing"},
		{"anchor", "addr: &a 127.0.0.1:1", ":1: addr: anchors, aliases and tags are not read"},
		{"alias", "data: *a", ":1"},
		{"twice", "addr: 127.0.0.1:1\naddr: 127.0.0.1:2", `:2: mapping key "addr" already defined`},
		{"twice, one with a dot", "http: {max_depth: 1}\nhttp.max_depth: 2", ":2: http.max_depth is set twice"},
		{"two documents", "addr: 127.0.0.1:1\n---\ndata: x", ": a config file is one document"},
		{"not a block", "- addr", ":1: a config file consists of lines such as"},
		{"cut short", "http: {max_body: ", ":1: "},
		{"header of a block scalar", "data: |-x", ":1: invalid header option"},
		{"tab", "http:\n\tmax_body: 1MiB", ":2: "},
		{"too large", strings.Repeat("# padding\n", 7_000), "is larger than 64KiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(t, nil, "serve", "--config", write(t, test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, test.want)
			}
		})
	}
}

func TestEmptyFilesSetNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n\n", "# addr: x\n", "---\n", "{}", "null", "http:\n  # max_body: 1\nlog: {}\n"} {
		if _, err := config.Load(nil, write(t, text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSeveralProblemsAreAllReported(t *testing.T) {
	t.Parallel()
	_, err := parse(t, []string{"SLUICE_ADRR=x", "SLUICE_DEMO=perhaps"}, "serve", "--config", write(t, "datta: x\njob: {workers: many}"))
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("got %v, want four lines", err)
	}
}

func FuzzConfigFile(f *testing.F) {
	for _, seed := range []string{"addr: 127.0.0.1:1\nhttp:\n  max_body: 1MiB\n  cors_origins: [a, \"b\"]\n", "a: &x [*x]\n? b\n: |\n  c\n", "{", "- ", "!!str x: !t y\n---\n...\n%YAML 1.2\n", "!0 0\n---"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := config.Load(nil, write(t, text))
		if err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Error("an error that says nothing")
		}
		if err == nil && cfg.Validate() != nil {
			t.Error("an invalid configuration was loaded")
		}
	})
}
