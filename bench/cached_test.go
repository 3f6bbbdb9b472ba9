package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bench/bar"
	"github.com/sluicehq/sluice/bff/cache"
	"github.com/sluicehq/sluice/bff/persisted"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/edge"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/redisdb"
	"github.com/sluicehq/sluice/internal/testserver"
	"github.com/sluicehq/sluice/loaders"
)

// byName asks for the dashboard as a trusted document, by its id.
var byName, _ = json.Marshal(map[string]any{
	"extensions": map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": persisted.Hash(dashboard)}},
})

// cachingServer is server with a response cache, which without switches off.
func cachingServer(ports loaders.Ports, redis *cache.RedisOptions, without bool) http.Handler {
	c := cache.New(cache.Options{Redis: redis, Memory: 64 << 20, MaxEntry: 1 << 20, Clock: clock.System{}, Logger: calls().Logger})
	options := pipeline.Options{
		Admission: admission.New(admission.Options{Limits: documentLimits}), Limits: documentLimits, Tokens: 5000, Logger: calls().Logger, Tracing: obs.NoTracing(),
		Persisted: persisted.New(persisted.Options{Trusted: map[string]string{"dashboard": dashboard}}),
	}
	if !without {
		options.Responses = c.Responses()
		ports = loaders.Ports{
			Accounts: c.Accounts(ports.Accounts), Devices: c.Devices(ports.Devices), Trips: c.Trips(ports.Trips),
			Jobs: c.Jobs(ports.Jobs), Activities: c.Activities(ports.Activities),
		}
	}
	s := pipeline.NewServer(&graph.Resolver{Ports: ports, Clock: clock.System{}}, options)
	s.AddTransport(edge.Transport(1<<20, calls().Logger, options.Admission.(*admission.Controller)))
	return s
}

// asAnotherEachTime answers each request as if somebody new had signed in.
func asAnotherEachTime(next http.Handler) http.Handler {
	var n atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := caller.Caller{AccountID: fmt.Sprint("account_", n.Add(1)), Role: caller.Member, Scopes: caller.ScopesOf(caller.Admin)}
		next.ServeHTTP(w, r.WithContext(caller.NewContext(r.Context(), who)))
	})
}

// sameBytes reads the request and writes what the other answered to the first, with its headers: the
// least that net/http can do.
func sameBytes(other http.Handler) http.Handler {
	var once sync.Once
	var body []byte
	header := http.Header{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() {
			first := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(byName))
			first.Header.Set("Content-Type", "application/json")
			recorder := httptest.NewRecorder()
			other.ServeHTTP(recorder, first)
			body, header = recorder.Body.Bytes(), recorder.Header()
		})
		_, _ = io.Copy(io.Discard, r.Body)
		for name, values := range header {
			w.Header()[name] = values
		}
		_, _ = w.Write(body)
	})
}

func handleCached(mux *http.ServeMux, ports loaders.Ports) error {
	kept := asOperator(cachingServer(ports, nil, false))
	mux.Handle("/kept", kept)
	mux.Handle("/bytes", sameBytes(kept))
	mux.Handle("/users", asAnotherEachTime(cachingServer(ports, nil, false)))
	mux.Handle("/users-asking", asAnotherEachTime(cachingServer(ports, nil, true)))
	url := os.Getenv(redisVariable)
	if url == "" {
		return nil
	}
	const timeout = time.Second // of a machine that is kept busy
	client, err := redisdb.Open(redisdb.Options{URL: url, Timeout: timeout, Logger: calls().Logger})
	if err != nil {
		return err
	}
	shared := &cache.RedisOptions{Client: client, WriteTime: timeout}
	mux.Handle("/users-shared", asAnotherEachTime(cachingServer(ports, shared, false)))
	return nil
}

// BenchmarkCached compares the dashboard as a trusted document whose answer is kept with net/http
// writing the same bytes, in requests a second.
func BenchmarkCached(b *testing.B) {
	l := compareLoad(b, "bytes", "kept")
	bar.AtLeast(b, "kept/bytes", median(l["kept"].rates)/median(l["bytes"].rates), 0.6)
}

// BenchmarkCachedForNobody compares the dashboard of somebody else each time with the cache on and off,
// in requests a second and in CPU of the gateway: with the cache in memory, and in Redis too.
func BenchmarkCachedForNobody(b *testing.B) {
	for name, way := range map[string]string{"memory": "users", "redis": "users-shared"} {
		b.Run(name, func(b *testing.B) {
			var variables []string
			if name == "redis" {
				variables = append(variables, redisVariable+"="+testserver.StartRedis(b).URL())
			}
			l := compareLoad(b, "users-asking", way, variables...)
			b.ReportMetric(median(l[way].spent)/median(l["users-asking"].spent), "cpu/asking")
			bar.AtLeast(b, "rate/asking", median(l[way].rates)/median(l["users-asking"].rates), 1)
		})
	}
}

// measured is what several rounds of a load came to: requests a second, and microseconds of the
// gateway's CPU a request.
type measured struct{ rates, spent []float64 }

// compareLoad loads a gateway in two ways by turns, in turns that are short: what else the machine does meets both.
func compareLoad(b *testing.B, one, other string, variables ...string) map[string]*measured {
	b.Helper()
	services := start(b, "services")
	gateway := "http://" + start(b, "gateway", append(variables, "SLUICE_BENCH_SERVICES="+services)...)
	l := map[string]*measured{one: {}, other: {}}
	const rounds, warming = 40, 8
	for round := range rounds {
		for _, way := range []string{one, other} {
			rate, cpu := load(b, gateway, way, 150*time.Millisecond)
			if m := l[way]; round >= warming {
				m.rates, m.spent = append(m.rates, rate), append(m.spent, cpu)
			}
		}
	}
	for _, way := range []string{one, other} {
		b.Logf("%-12s %7.0f requests/s, %5.0f µs CPU of the gateway each", way, median(l[way].rates), median(l[way].spent))
	}
	b.ReportMetric(0, "ns/op")
	return l
}

// load asks from several clients at once and gives the requests a second, and the gateway's CPU for
// one in microseconds.
func load(b *testing.B, gateway, way string, lasting time.Duration) (rate, cpu float64) {
	b.Helper()
	const clients = 16
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var n atomic.Int64
	before, began := cpuOf(b, gateway), time.Now()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for time.Since(began) < lasting {
				response, err := client.Post(gateway+"/"+way, "application/json", bytes.NewReader(byName))
				if err != nil {
					b.Error(err)
					return
				}
				text, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(text[:min(len(text), 20)]), `{"data":{"trips"`) {
					b.Errorf("%s answers %d %v %.300s", way, response.StatusCode, err, text)
					return
				}
				n.Add(1)
			}
		})
	}
	all.Wait()
	requests := float64(n.Load())
	return requests / time.Since(began).Seconds(), float64(cpuOf(b, gateway)-before) / requests / 1e3
}
