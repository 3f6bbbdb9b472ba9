package lifecycle

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

// What cannot work ends at once, with one line that says what to do.
func TestInvalidCommandLinesAreOneLineErrors(t *testing.T) {
	t.Parallel()
	running := harness.Demo(t)
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	config := filepath.Join(folder, "sluice.yaml")
	for path, text := range map[string]string{file: "", config: "http:\n  max_bdoy: 1MiB\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data := func(name string) string { return filepath.Join(folder, name) }
	for _, c := range []struct {
		name      string
		variables []string
		args      []string
		says      []string
	}{
		{"a port that is taken", nil, []string{"serve", "--addr", running.Addr, "--data", data("a")}, []string{running.Addr, "in use", "--addr"}},
		{"a service's port that is taken", nil, []string{"service", "job", "--services-job-listen", running.Addr, "--data", data("b")}, []string{running.Addr, "--services-job-listen"}},
		{"a data folder below a file", nil, []string{"serve", "--data", filepath.Join(file, "data")}, []string{"data folder", "--data"}},
		{"a data folder that another uses", nil, []string{"serve", "--demo", "--addr", "127.0.0.1:0", "--data", harness.DemoFolder()}, []string{"in use by another process", "choose another"}},
		{"an unknown flag", nil, []string{"serve", "--prot", "1"}, []string{"--prot", "sluice serve --help"}},
		{"a mistyped flag", nil, []string{"serve", "--dat", "x"}, []string{"--dat", `did you mean "--data"`}},
		{"an unknown command", nil, []string{"server"}, []string{"server"}},
		{"an unknown variable", []string{"SLUICE_ADRR=x"}, []string{"serve", "--data", data("c")}, []string{"SLUICE_ADRR", "SLUICE_ADDR"}},
		{"an unknown key", nil, []string{"serve", "--config", config}, []string{"sluice.yaml:2", "http.max_bdoy", "http.max_body"}},
		{"a bad value", []string{"SLUICE_HTTP_MAX_BODY=lots"}, []string{"serve", "--data", data("d")}, []string{"SLUICE_HTTP_MAX_BODY", "lots"}},
		{"a value out of range", nil, []string{"serve", "--http-max-depth", "0", "--data", data("e")}, []string{"http.max_depth", "at least 1"}},
		{"an open service without a token", nil, []string{"service", "trip", "--services-trip-listen", "0.0.0.0:0", "--data", data("f")}, []string{"service_token"}},
		{"an unknown service", nil, []string{"service", "billing"}, []string{"billing", "account"}},
		{"a config file that is not there", nil, []string{"config", "check", "--config", data("nowhere.yaml")}, []string{"nowhere.yaml", "no such file"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := harness.RunWithEnv(t, c.variables, c.args...)
			line := strings.TrimSuffix(o.Stderr, "\n")
			if o.Code != 1 || o.Stdout != "" || !strings.HasPrefix(line, "sluice: ") || strings.Contains(line, "\n") {
				t.Errorf("ended with %d, printed %q, and said:\n%s", o.Code, o.Stdout, o.Stderr)
			}
			for _, word := range c.says {
				if !strings.Contains(line, word) {
					t.Errorf("it does not say %q: %s", word, line)
				}
			}
		})
	}
}

// A signal lets requests that are under way end, takes no new ones, and ends well.
func TestSignalsDrainRequests(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			p := harness.Start(t, "serve", "--addr", "127.0.0.1:0", "--data", t.TempDir())
			finish := beginRequest(t, p, `{"query": "{ __typename }"}`)
			if err := p.Cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			harness.Eventually(t, harness.Timeout, "new connections are refused", func() bool {
				probe, err := net.Dial("tcp", p.Addr)
				if err == nil {
					_ = probe.Close()
				}
				return err != nil
			})
			if got := finish(); !strings.Contains(got, `"__typename":"Query"`) {
				t.Errorf("the answer is %s", got)
			}
			if code := p.ExitCode(t); code != 0 {
				t.Errorf("it ended with %d:\n%s", code, p.Stderr)
			}
		})
	}
}

// beginRequest sends a request but for its body, and waits until the program wants that. What it
// gives sends the body and reads the answer.
func beginRequest(t *testing.T, p *harness.Program, body string) (finish func() string) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: sluice\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body))
	if err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	for _, want := range []string{"HTTP/1.1 100 Continue\r\n", "\r\n"} {
		if line, err := answers.ReadString('\n'); err != nil || line != want {
			t.Fatalf("the request is not taken: %q %v", line, err)
		}
	}
	return func() string {
		if _, err := io.WriteString(conn, body); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("the request that was under way got no answer: %v", err)
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

func TestConfigCommandsPrintMaskedSettings(t *testing.T) {
	t.Parallel()
	if doc := harness.MustRun(t, "config", "doc"); !strings.Contains(doc, "| `http.max_body` | `--http-max-body` | `SLUICE_HTTP_MAX_BODY` | `1MiB` |") {
		t.Errorf("the doc does not list http.max_body:\n%s", doc)
	}
	if said := harness.MustRun(t, "config", "check"); !strings.Contains(said, "good") {
		t.Errorf("the check says %q", said)
	}
	secret := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secret, []byte("a-secret-out-of-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := harness.RunWithEnv(t, []string{"SLUICE_SERVICE_TOKEN_FILE=" + secret, "SLUICE_HTTP_MAX_BODY=2MiB"}, "config", "print", "--http-max-depth", "7")
	for _, line := range []string{"max_body: 2MiB", "max_depth: 7", `service_token: "********"`} {
		if !strings.Contains(o.Stdout, line) {
			t.Errorf("the settings in force lack %q:\n%s%s", line, o.Stdout, o.Stderr)
		}
	}
	if strings.Contains(o.Stdout+o.Stderr, "a-secret-out-of-a-file") {
		t.Error("a secret is printed")
	}
}

// Keys are made, listed and revoked beside a program that serves, and it knows at once.
func TestAPIKeyCommandsTakeEffectAtOnce(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := harness.Start(t, "serve", "--addr", "127.0.0.1:0", "--data", data)
	harness.RequireError(t, p.Execute(t, "", `mutation { login(input: {provider: DEMO, code: "admin"}) { accessToken } }`, nil), "FAILED_PRECONDITION", "PROVIDER_DISABLED")

	o := harness.Run(t, "apikey", "create", "for a test", "--scope", "trip:read", "--scope", "job:read", "--data", data)
	key := strings.TrimSpace(o.Stdout)
	id, _, _ := strings.Cut(o.Stderr, ":")
	if o.Code != 0 || !strings.HasPrefix(key, "sluice_") || !strings.HasPrefix(id, "apikey_") {
		t.Fatalf("the key is %q, %q", o.Stdout, o.Stderr)
	}
	harness.Query[any](t, p, key, `{ trips { totalCount } jobs { totalCount } }`, nil)
	harness.RequireError(t, p.Execute(t, key, `{ devices { totalCount } }`, nil), "PERMISSION_DENIED", "SCOPE_MISSING")

	listed := harness.MustRun(t, "apikey", "list", "--data", data)
	if !strings.Contains(listed, id) || !strings.Contains(listed, "for a test") || strings.Contains(listed, key) {
		t.Errorf("the list is\n%s", listed)
	}
	harness.MustRun(t, "apikey", "revoke", id, "--data", data)
	harness.Eventually(t, harness.Timeout, "the gateway, which may keep a verdict for auth.cache_ttl, hears of it", func() bool {
		return len(p.Execute(t, key, `{ trips { totalCount } }`, nil).Errors) > 0
	})
	harness.RequireError(t, p.Execute(t, key, `{ trips { totalCount } }`, nil), "UNAUTHENTICATED", "API_KEY_REVOKED")
	for _, wrong := range [][]string{
		{"apikey", "revoke", "apikey_00000000000000000000000000", "--data", data},
		{"apikey", "revoke", "nonsense", "--data", data},
		{"apikey", "create", "x", "--scope", "root", "--data", data},
		{"apikey", "create", "x", "--scope", "trip:read", "--role", "KING", "--data", data},
	} {
		if o := harness.Run(t, wrong...); o.Code != 1 || strings.Count(o.Stderr, "\n") != 1 || o.Stdout != "" {
			t.Errorf("%v ended with %d: %q %q", wrong, o.Code, o.Stdout, o.Stderr)
		}
	}
	p.StopCleanly(t)
}
