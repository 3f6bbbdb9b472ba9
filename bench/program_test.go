package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/sluicehq/sluice/bench/bar"
)

// BenchmarkAbuseOfAll is the price of a refusal as BenchmarkAbuse has it, in the program as anybody runs
// it: the gateway, all services and the broker in one process, with real recordings. A query is what it
// is there when the services answer, and when all of it was kept.
func BenchmarkAbuseOfAll(b *testing.B) {
	for _, c := range []struct{ what, kept string }{{"answered", "false"}, {"kept", "true"}} {
		program := demo(b, "--cache-enabled="+c.kept)
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
		token := program.ask(b, client, "", `mutation { login(input: {provider: DEMO, code: "admin"}) { accessToken } }`, "accessToken")
		key := func(points string) string {
			return program.ask(b, client, token, `mutation { createApiKey(input: {name: "bench", pointsPerMinute: `+points+`,
				scopes: ["account:read", "device:read", "trip:read", "job:read", "activity:read"]}) { secret } }`, "secret")
		}
		served := cpuByKey(b, client, string(program), key("1000000"), http.StatusOK, cpuOfProgram, 400)
		refused := cpuByKey(b, client, string(program), key("600"), http.StatusTooManyRequests, cpuOfProgram, 8000)
		b.Logf("all in one, a query that is %s costs %.0f µs CPU, a refusal %.1f µs: %.1f %%", c.what, served, refused, 100*refused/served)
		if c.kept == "true" { // costs less than twenty times what net/http takes to refuse: there is no bar
			b.ReportMetric(refused/served, "refused/"+c.what)
			continue
		}
		bar.AtMost(b, "refused/"+c.what, refused/served, 0.05)
	}
	b.ReportMetric(0, "ns/op")
}

// running is a Sluice at this address.
type running string

// demo builds the program, and runs it until the benchmark ends.
func demo(b *testing.B, settings ...string) running {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "sluice")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "../cmd/sluice").CombinedOutput(); err != nil {
		b.Fatalf("build the program: %v\n%s", err, out)
	}
	arguments := append([]string{"serve", "--demo", "--addr", "127.0.0.1:0", "--mqtt-addr", "127.0.0.1:0", "--data", b.TempDir()}, settings...)
	cmd := exec.CommandContext(b.Context(), binary, arguments...)
	out := launch(b, cmd)
	address := regexp.MustCompile(`(http://\S+)/graphql`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if found := address.FindStringSubmatch(lines.Text()); found != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }() // until it is gone
			return running(found[1])
		}
	}
	b.Fatal("the program did not say where it is")
	return ""
}

// ask gives the only text in the answer that has the name.
func (r running) ask(b *testing.B, client *http.Client, token, document, name string) string {
	b.Helper()
	body, _ := json.Marshal(map[string]string{"query": document}) // texts always encode
	request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, string(r)+"/graphql", bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	found := regexp.MustCompile(`"` + name + `":"([^"]+)"`).FindSubmatch(text)
	if found == nil {
		b.Fatalf("the answer has no %s: %s", name, text)
	}
	return string(found[1])
}

// cpuOfProgram is cpuOf by the metrics of the program, which tell hundredths of a second.
func cpuOfProgram(b *testing.B, gateway string) int64 {
	b.Helper()
	response, err := http.Get(gateway + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	found := regexp.MustCompile(`(?m)^process_cpu_seconds_total (\S+)$`).FindSubmatch(text)
	if found == nil {
		b.Skip("the program does not tell how much it computes here")
	}
	seconds, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return int64(seconds * 1e9)
}
