package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sluicehq/sluice/bench/bar"
	"github.com/sluicehq/sluice/bff/guard"
	bffrpc "github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/edge"
	"github.com/sluicehq/sluice/gateway/edge/fastreject"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/memory"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/loaders"
)

const dashboard = `{
  trips(first: 20) { nodes { id status distance fee { amountMinor currency } vehicle { id name } account { name } } }
  jobs(first: 20) { nodes { id name status device { id name } } }
  activities(first: 20) { nodes { id kind title startedAt device { id name } } }
  devices(first: 20) { nodes { id name currentTrip { id } } }
}`

// serveGateway answers the dashboard in three ways, and says how much CPU the process has used.
func serveGateway(services string) error {
	conn, err := rpc.Dial(services, calls())
	if err != nil {
		return err
	}
	guardOptions := guard.Options{
		Service: "all", Timeout: 10 * time.Second, Failures: 1000, OpenFor: time.Second, Logger: calls().Logger,
	}
	guarded := guard.Wrap(conn, guardOptions)
	plain, err := grpc.NewClient("passthrough:///"+services, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	memory.Tune(memory.Settings{GCPercent: 400}, memory.Available, os.Getenv) // as the program does by default
	mux := http.NewServeMux()
	mux.Handle("/rest", asOperator(newREST(plain)))
	mux.Handle("/planned", asOperator(server(portsOver(guarded), false)))
	apart := func(dial func() (grpc.ClientConnInterface, error)) grpc.ClientConnInterface {
		return &connPerService{dial: dial}
	}
	mux.Handle("/rest-apart", asOperator(newREST(apart(func() (grpc.ClientConnInterface, error) {
		return grpc.NewClient("passthrough:///"+services, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}))))
	mux.Handle("/planned-apart", asOperator(server(portsOver(guard.Wrap(apart(func() (grpc.ClientConnInterface, error) {
		return rpc.Dial(services, calls())
	}), guardOptions)), false)))
	mux.Handle("/reference", asOperator(server(portsOver(guarded), true)))
	if err := handleCached(mux, portsOver(guarded)); err != nil {
		return err
	}
	mux.Handle("/graphql", limited(portsOver(guarded)))
	mux.HandleFunc("/floor", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write(make([]byte, 500)) // about a refusal
	})
	mux.HandleFunc("/profile", pprof.Profile)
	mux.HandleFunc("/cpu", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, int64(cpu())) })
	listener, err := listen()
	if err != nil {
		return err
	}
	return fastreject.Serve(&http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}, listener, time.Minute)
}

func portsOver(conn grpc.ClientConnInterface) loaders.Ports {
	return loaders.Ports{
		Accounts: bffrpc.NewAccounts(conn), Devices: bffrpc.NewDevices(conn), Trips: bffrpc.NewTrips(conn),
		Jobs: bffrpc.NewJobs(conn), Activities: bffrpc.NewActivities(conn),
	}
}

// documentLimits bound the documents of the benchmarks.
var documentLimits = document.Limits{Depth: 15, Aliases: 30}

func server(ports loaders.Ports, reference bool) http.Handler {
	control := admission.New(admission.Options{Limits: documentLimits})
	s := pipeline.NewServer(&graph.Resolver{Ports: ports, Clock: clock.System{}}, pipeline.Options{
		Admission: control, Limits: documentLimits, Tokens: 5000, Logger: calls().Logger, Tracing: obs.NoTracing(), Reference: reference,
	})
	s.AddTransport(edge.Transport(1<<20, calls().Logger, control))
	return s
}

// asOperator answers as if somebody had signed in: who it is costs the same everywhere.
func asOperator(next http.Handler) http.Handler {
	who := caller.OfSystem()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(caller.NewContext(r.Context(), who)))
	})
}

// cpu is the time that this process has computed, in user and kernel.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkDashboard compares the CPU that a request costs the gateway: nothing is cached, services
// answer over gRPC from another process. It prints multiples of the handler written by hand.
func BenchmarkDashboard(b *testing.B) {
	services := start(b, "services")
	gateway := "http://" + start(b, "gateway", "SLUICE_BENCH_SERVICES="+services)
	ways := []string{"rest", "planned", "reference"}
	compareAnswers(b, gateway, ways)
	spent := map[string][]float64{}
	for range 9 { // the first round warms up
		for _, way := range ways {
			spent[way] = append(spent[way], perRequest(b, gateway, way, 400))
		}
	}
	limit := median(spent["rest"][1:])
	for _, way := range ways {
		m := median(spent[way][1:])
		b.Logf("%-8s %6.0f µs CPU a request, %.2f × REST", way, m, m/limit)
		b.ReportMetric(m/limit, way+"/rest")
	}
	bar.AtMost(b, "planned/rest", median(spent["planned"][1:])/limit, 1.2)
	b.ReportMetric(0, "ns/op")
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

// perRequest gives the gateway's CPU for one request, in microseconds, over n by four clients.
func perRequest(b *testing.B, gateway, way string, n int) float64 {
	b.Helper()
	before := cpuOf(b, gateway)
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range n / 4 {
				ask(b, gateway, way)
			}
		})
	}
	clients.Wait()
	return float64(cpuOf(b, gateway)-before) / float64(n) / 1e3
}

func cpuOf(b *testing.B, gateway string) int64 {
	b.Helper()
	response, err := http.Get(gateway + "/cpu")
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	spent, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return spent
}

var request, _ = json.Marshal(map[string]string{"query": dashboard})

// httpClient reuses its connections, as browsers and servers do, and requests uncompressed responses:
// the handler by hand gives no others.
var httpClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, DisableCompression: true}}

func ask(b *testing.B, gateway, way string) []byte {
	response, err := httpClient.Post(gateway+"/"+way, "application/json", bytes.NewReader(request))
	if err != nil {
		b.Error(err)
		return nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		b.Errorf("%s answers %d %v %.300s", way, response.StatusCode, err, text)
	}
	return text
}

// compareAnswers sees to it that all ways answer the same.
func compareAnswers(b *testing.B, gateway string, ways []string) {
	b.Helper()
	var want any
	for _, way := range ways {
		var got any
		text := ask(b, gateway, way)
		if err := json.Unmarshal(text, &got); err != nil {
			b.Fatalf("%s: %v: %.300s", way, err, text)
		}
		if want == nil {
			want = got
			b.Logf("an answer has %d bytes", len(text))
		}
		if !reflect.DeepEqual(got, want) {
			b.Fatalf("%s answers otherwise: %.600s", way, text)
		}
	}
	runtime.KeepAlive(want)
}
