package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bench/bar"
	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/abuse"
	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/gateway/admission"
	"github.com/sluicehq/sluice/gateway/edge"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/loaders"
)

// What an abuser may spend: about ten dashboards a second; and how much more it asks.
const (
	abuserPoints = 600 * 200
	abuserRate   = 500 // a second
	goodCallers  = 20
	goodRate     = 5 // a second, each
)

// keyring holds every key, the abuser's with a small budget.
type keyring struct{ bff.Accounts }

func (keyring) VerifyAPIKey(_ context.Context, key string) (*bff.ApiKey, error) {
	points := 1_000_000_000
	if key == "abuser-broke" {
		points = 600 // three dashboards a minute
	} else if strings.HasPrefix(key, "abuser") {
		points = abuserPoints
	}
	return &bff.ApiKey{ID: key, AccountID: id("account", 1), AccountRole: bff.Role(caller.Operator), Scopes: caller.ScopesOf(caller.Operator), PointsPerMinute: points}, nil
}

// limited is the whole entrance, with keys, budgets and abuse.
func limited(ports loaders.Ports) http.Handler {
	budgets := quota.New(quota.NewMemory(clock.System{}, 1000), quota.Options{Account: 1 << 30, Anonymous: 1 << 30, InFlight: 256})
	watched := abuse.New(abuse.Options{Window: time.Minute, Failures: 200, Repeats: 120, OpenFor: 30 * time.Second, Kept: 1000, Key: quota.Key})
	limits := document.Limits{Depth: 15, Aliases: 30}
	control := admission.New(admission.Options{Limits: limits, Budgets: budgets, Abuse: watched})
	s := pipeline.NewServer(&graph.Resolver{Ports: ports, Clock: clock.System{}, Abuse: watched}, pipeline.Options{
		Admission: control, Limits: limits, Tokens: 5000, Logger: calls().Logger, Tracing: obs.NoTracing(),
	})
	return edge.New(edge.Parts{
		GraphQL: s, Auth: auth.NewCached(keyring{}, "bench", clock.System{}, auth.CacheOptions{TTL: 5 * time.Second, Entries: 1000}),
		Health: edge.NewHealth(nil, nil), Admission: control,
	}, edge.Options{RequestTimeout: 10 * time.Second, MaxBody: 1 << 20, Logger: calls().Logger, Tracing: obs.NoTracing()})
}

// BenchmarkAbuse asks what one key at fifty times its budget costs the others, and what refusing it
// costs: good callers' p99 with it and without, and the CPU of a refusal and of a served query.
func BenchmarkAbuse(b *testing.B) {
	services := start(b, "services")
	gateway := "http://" + start(b, "gateway", "SLUICE_BENCH_SERVICES="+services)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	served := cpuByKey(b, client, gateway, "good-0", http.StatusOK, cpuOf, 800)
	refused := cpuByKey(b, client, gateway, "abuser-broke", http.StatusTooManyRequests, cpuOf, 8000)
	floor := cpuByKey(b, client, gateway, toFloor, http.StatusTooManyRequests, cpuOf, 8000)
	b.Logf("a served query costs %.0f µs CPU, a refusal %.1f µs: %.1f %%; net/http alone refuses for %.1f µs", served, refused, 100*refused/served, floor)
	b.ReportMetric(refused/floor, "refused/floor")
	bar.AtMost(b, "refused/served", refused/served, 0.05)

	holdGoodOnes(b, client, gateway)
	b.ReportMetric(0, "ns/op")
}

// holdGoodOnes compares good callers alone and beside the abuser, in turns.
func holdGoodOnes(b *testing.B, client *http.Client, gateway string) {
	b.Helper()
	var alone, beside []time.Duration
	var ratios []float64
	for round := range 8 { // the first warms up
		quiet, loud := goodOnes(b, client, gateway, false), goodOnes(b, client, gateway, true)
		if round > 0 {
			alone, beside = append(alone, quiet...), append(beside, loud...)
			ratios = append(ratios, float64(at(loud, 99))/float64(at(quiet, 99)))
		}
	}
	b.Logf("good callers' p50 %s and p99 %s alone, %s and %s beside the abuser", at(alone, 50), at(alone, 99), at(beside, 50), at(beside, 99))
	bar.AtMost(b, "p99/alone", median(ratios), 1.2)
}

func at(took []time.Duration, percent int) time.Duration {
	took = slices.Sorted(slices.Values(took))
	return took[len(took)*percent/100]
}

// toFloor is no key: net/http refuses by itself.
const toFloor = "floor"

// present sends the dashboard with a key and gives the status.
func present(b *testing.B, client *http.Client, gateway, key string) int {
	path := "/graphql"
	if key == toFloor {
		path = "/floor"
	}
	r, err := http.NewRequest(http.MethodPost, gateway+path, bytes.NewReader(request))
	if err != nil {
		b.Error(err)
		return 0
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/graphql-response+json")
	r.Header.Set("X-API-Key", key)
	response, err := client.Do(r)
	if err != nil {
		b.Error(err)
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// cpuByKey gives the CPU for a request of the key that ends so, in microseconds, by what the process has
// spent: the median of several rounds.
func cpuByKey(b *testing.B, client *http.Client, gateway, key string, status int, spent func(*testing.B, string) int64, requests int) float64 {
	b.Helper()
	for tries := 0; present(b, client, gateway, key) != status; tries++ {
		if tries == 5000 {
			b.Fatalf("%s is not answered %d", key, status)
		}
	}
	const clients = 8
	var rounds []float64
	for range 7 {
		var all sync.WaitGroup
		var other atomic.Int64
		before := spent(b, gateway)
		for range clients {
			all.Go(func() {
				for range requests / clients {
					if present(b, client, gateway, key) != status {
						other.Add(1)
					}
				}
			})
		}
		all.Wait()
		rounds = append(rounds, float64(spent(b, gateway)-before)/float64(requests)/1e3)
		if got := other.Load(); got > int64(requests/100) {
			b.Errorf("%d of %d requests of %s were answered otherwise", got, requests, key)
		}
	}
	return median(rounds)
}

// goodOnes ask for two seconds at an even pace, and tell how long each answer took.
func goodOnes(b *testing.B, client *http.Client, gateway string, abused bool) []time.Duration {
	b.Helper()
	const long = 2 * time.Second
	var mu sync.Mutex
	var took []time.Duration
	var all sync.WaitGroup
	for i := range goodCallers {
		all.Go(func() {
			pace(goodRate, long, time.Duration(i)*time.Second/goodRate/goodCallers, func() {
				started := time.Now()
				if status := present(b, client, gateway, fmt.Sprintf("good-%d", i)); status != http.StatusOK {
					b.Errorf("a good caller is answered %d", status)
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(started))
			})
		})
	}
	if abused {
		all.Go(func() { pace(abuserRate, long, 0, func() { present(b, client, gateway, "abuser") }) })
	}
	all.Wait()
	return took
}

// pace does something so often a second, each time at its time, whether or not the last has ended.
func pace(rate int, long, offset time.Duration, do func()) {
	var all sync.WaitGroup
	defer all.Wait()
	began := time.Now().Add(offset)
	for i := range int(long.Seconds()) * rate {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		all.Go(do)
	}
}
