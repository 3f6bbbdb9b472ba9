package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/bench/bar"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/services/account"
	"github.com/sluicehq/sluice/services/account/signing"
	accountv1 "github.com/sluicehq/sluice/services/gen/account/v1"
)

// BenchmarkDeployed compares the CPU of a request to the gateway as users run it with the handler that is
// written by hand, over the same services: the real binary, a caller with an access token, budgets,
// metrics, and the log at its default level. Nothing is cached. The engine without these parts runs beside
// it, so that the price of the deployment shows alone. All three have one connection per service, as services
// in separate processes require; that costs more system calls than one connection for all services.
func BenchmarkDeployed(b *testing.B) {
	services := start(b, "services")
	engine := startProcess(b, "gateway", "SLUICE_BENCH_SERVICES="+services)
	deployed := startDeployed(b, services)
	targets := []*target{
		{name: "rest", url: engine.url + "/rest-apart", process: engine.pid},
		{name: "engine", url: engine.url + "/planned-apart", process: engine.pid},
		{name: "deployed", url: deployed.url + "/graphql", process: deployed.pid, token: deployed.token},
	}
	requireEqualResponses(b, targets)
	for round := range 17 { // short rounds in turns, so that other work of the machine meets all targets
		for _, t := range targets {
			spent := t.measure(b, 400)
			if round >= 3 { // the rounds before warm up
				t.spent = append(t.spent, spent)
			}
		}
	}
	before := mallocsOf(b, deployed.url)
	targets[2].measure(b, 400)
	bar.AtMost(b, "allocations/deployed", (mallocsOf(b, deployed.url)-before)/400, 2100)
	rest := median(targets[0].spent)
	for _, t := range targets {
		b.Logf("%-8s %6.0f µs CPU per request, %.2f × REST", t.name, median(t.spent), median(t.spent)/rest)
	}
	b.ReportMetric(median(targets[1].spent)/rest, "engine/rest")
	bar.AtMost(b, "deployed/rest", median(targets[2].spent)/rest, 1.3)
	bar.AtMost(b, "(deployed-engine)/rest", (median(targets[2].spent)-median(targets[1].spent))/rest, 0.12)
	b.ReportMetric(0, "ns/op")
}

// mallocsOf returns the number of allocations of the program since its start, by its metrics. Unlike CPU it does not
// depend on other load of the machine.
func mallocsOf(b *testing.B, gateway string) float64 {
	b.Helper()
	response, err := http.Get(gateway + "/metrics")
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^go_memstats_mallocs_total (\S+)$`).FindSubmatch(text)
	if found == nil {
		b.Fatal("the program does not export its allocations")
	}
	count, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return count
}

// target is one of the compared handlers.
type target struct {
	name, url, token string
	process          int       // whose CPU is measured
	spent            []float64 // microseconds of CPU per request, one value per round
}

// measure sends n requests from four clients and returns the CPU of the process per request, in microseconds.
func (t *target) measure(b *testing.B, n int) float64 {
	b.Helper()
	before := processCPU(b, t.process)
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range n / 4 {
				t.fetch(b)
			}
		})
	}
	clients.Wait()
	return float64((processCPU(b, t.process) - before).Nanoseconds()) / float64(n) / 1e3
}

// fetch returns the response to the dashboard.
func (t *target) fetch(b *testing.B) []byte {
	r, err := http.NewRequest(http.MethodPost, t.url, bytes.NewReader(request))
	if err != nil {
		b.Error(err)
		return nil
	}
	r.Header.Set("Content-Type", "application/json")
	if t.token != "" {
		r.Header.Set("Authorization", "Bearer "+t.token)
	}
	response, err := httpClient.Do(r)
	if err != nil {
		b.Error(err)
		return nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		b.Errorf("%s responds with %d %v %.300s", t.name, response.StatusCode, err, text)
	}
	return text
}

func requireEqualResponses(b *testing.B, targets []*target) {
	b.Helper()
	var want any
	for _, t := range targets {
		var got any
		text := t.fetch(b)
		if err := json.Unmarshal(text, &got); err != nil {
			b.Fatalf("%s: %v: %.300s", t.name, err, text)
		}
		if want == nil {
			want = got
		}
		if !reflect.DeepEqual(got, want) {
			b.Fatalf("%s has another response: %.600s", t.name, text)
		}
	}
}

// process is a program under measurement.
type process struct {
	url, token string
	pid        int
}

// startProcess runs this test binary in a role.
func startProcess(b *testing.B, role string, environment ...string) process {
	b.Helper()
	cmd := inRole(b, role, environment...)
	return process{url: "http://" + firstLine(b, cmd, role), pid: cmd.Process.Pid}
}

// startDeployed builds the program and runs "sluice gateway" in front of the services, with defaults but for
// the budget, which the load would exceed. It returns the gateway with an access token.
func startDeployed(b *testing.B, services string) process {
	b.Helper()
	folder := b.TempDir()
	binary := filepath.Join(folder, "sluice")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "../cmd/sluice").CombinedOutput(); err != nil {
		b.Fatalf("build the program: %v\n%s", err, out)
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = log.Close() })
	arguments := []string{"gateway", "--http-introspection", "--addr", "127.0.0.1:0", "--mqtt-addr", "", "--data", filepath.Join(folder, "data"), "--quota-account-points", "1000000000"}
	for _, service := range catalog.Names() {
		arguments = append(arguments, "--services-"+service+"-addr", services)
	}
	cmd := exec.CommandContext(b.Context(), binary, arguments...)
	cmd.Stderr = log
	out := launch(b, cmd)
	ready := regexp.MustCompile(`(http://\S+)/graphql`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if found := ready.FindStringSubmatch(lines.Text()); found != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }() // until the program ends
			token := running(found[1]).ask(b, httpClient, "", `mutation { login(input: {provider: DEMO, code: "operator"}) { accessToken } }`, "accessToken")
			return process{url: found[1], token: token, pid: cmd.Process.Pid}
		}
	}
	text, _ := os.ReadFile(log.Name()) // only for the message
	b.Fatalf("the gateway did not start:\n%s", text)
	return process{}
}

// signer signs the access tokens of the accounts service of the benchmark.
var signer = sync.OnceValues(func() (*signing.Keys, error) {
	return signing.Open(context.Background(), &signing.Memory{}, signing.Options{})
})

// Login signs an operator in, whatever the code is.
func (accounts) Login(context.Context, *accountv1.LoginRequest) (*accountv1.Session, error) {
	keys, err := signer()
	if err != nil {
		return nil, err
	}
	issued, expires := time.Now(), time.Now().Add(time.Hour)
	token, err := keys.Sign(account.Claims{
		ID: rand.Text(), Issuer: "sluice", Audience: account.Audience, AccountID: id("account", 1), SessionID: "bench",
		Role: caller.Operator, IssuedAt: issued, ExpiresAt: expires,
	})
	return &accountv1.Session{
		AccessToken: token, RefreshToken: "none", ExpiresAt: timestamppb.New(expires),
		Account: &accountv1.Account{Id: id("account", 1), Name: "Operator", CreatedAt: now, Role: accountv1.Role_ROLE_OPERATOR},
	}, err
}

// GetKeySet returns the public key of the signer.
func (accounts) GetKeySet(context.Context, *accountv1.GetKeySetRequest) (*accountv1.KeySet, error) {
	keys, err := signer()
	if err != nil {
		return nil, err
	}
	return &accountv1.KeySet{Json: string(keys.KeySet())}, nil
}

// CheckSessions returns the role of the signer's tokens for every session.
func (accounts) CheckSessions(_ context.Context, r *accountv1.CheckSessionsRequest) (*accountv1.CheckSessionsResponse, error) {
	return &accountv1.CheckSessionsResponse{Sessions: many(int32(len(r.GetUses())), func(i int) *accountv1.LiveSession {
		return &accountv1.LiveSession{SessionId: r.GetUses()[i].GetSessionId(), Role: accountv1.Role_ROLE_OPERATOR}
	})}, nil
}
