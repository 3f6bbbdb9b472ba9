package bench

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/bench/bar"
)

// BenchmarkLatency compares how long one caller with one connection waits for the dashboard when
// every call of a service takes 5 ms: who goes through as many levels as the handler written by hand
// waits as long. It prints medians, as multiples of that handler's in the same run.
func BenchmarkLatency(b *testing.B) {
	services := start(b, "services", delayVariable+"=5ms")
	gateway := "http://" + start(b, "gateway", "SLUICE_BENCH_SERVICES="+services)
	ways := []string{"rest", "planned", "reference"}
	compareAnswers(b, gateway, ways)
	waited := map[string][]float64{}
	for round := range 210 {
		for i := range ways { // interleaved, each of them first in turn
			way := ways[(i+round)%len(ways)]
			started := time.Now()
			ask(b, gateway, way)
			if round >= 10 { // those before warm up
				waited[way] = append(waited[way], float64(time.Since(started).Microseconds())/1e3)
			}
		}
	}
	rest := median(waited["rest"])
	for _, way := range ways {
		m := median(waited[way])
		b.Logf("%-8s %6.2f ms p50, %.3f × REST", way, m, m/rest)
		b.ReportMetric(m/rest, way+"/rest")
	}
	bar.AtMost(b, "planned/rest", median(waited["planned"])/rest, 1.05)
	b.ReportMetric(0, "ns/op")
}
