package bench

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/bench/bar"
	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/loaders"
)

// Ports that answer from memory: what is left is the gateway's own work.
type (
	memoryAccounts struct {
		bff.Accounts
		all []*bff.Account
	}
	memoryDevices struct {
		bff.Devices
		all  []*bff.Device
		page bff.Page[bff.Device]
	}
	memoryTrips struct {
		bff.Trips
		page bff.Page[bff.Trip]
		open map[string]*bff.Trip
	}
	memoryJobs struct {
		bff.Jobs
		page bff.Page[bff.Job]
	}
	memoryActivities struct {
		bff.Activities
		page bff.Page[bff.Activity]
	}
)

func (m memoryAccounts) GetAccounts(context.Context, []string) ([]*bff.Account, error) {
	return m.all, nil
}

func (m memoryDevices) GetDevices(context.Context, []string) ([]*bff.Device, error) {
	return m.all, nil
}

func (m memoryDevices) ListDevices(context.Context, *bff.DeviceFilter, bff.DeviceOrder, bff.PageRequest) (bff.Page[bff.Device], error) {
	return m.page, nil
}

func (m memoryTrips) ListTrips(context.Context, *bff.TripFilter, bff.PageRequest) (bff.Page[bff.Trip], error) {
	return m.page, nil
}

func (m memoryTrips) GetOpenTripsByVehicle(context.Context, []string) (map[string]*bff.Trip, error) {
	return m.open, nil
}

func (m memoryJobs) ListJobs(context.Context, *bff.JobFilter, bff.PageRequest) (bff.Page[bff.Job], error) {
	return m.page, nil
}

func (m memoryActivities) ListActivities(context.Context, *bff.ActivityFilter, bff.PageRequest) (bff.Page[bff.Activity], error) {
	return m.page, nil
}

func pageInMemory[T any](n int, one func(i int) *T) bff.Page[T] {
	return bff.Page[T]{Items: many(int32(n), one), Cursors: many(int32(n), func(i int) string { return id("cursor", i) })}
}

// inMemory has n rows of each kind.
func inMemory(n int) loaders.Ports {
	device := func(i int) *bff.Device {
		return &bff.Device{ID: id("dev", i), Name: "a vehicle", Kind: "VEHICLE", Labels: map[string]string{}, Presence: "ONLINE"}
	}
	trip := func(i int) *bff.Trip {
		return &bff.Trip{ID: id("trip", i), Status: "FINISHED", AccountID: id("acc", i%3), VehicleID: id("dev", i), Distance: 1234.5,
			Fee: &bff.Money{AmountMinor: 1, Currency: "EUR"}}
	}
	open := map[string]*bff.Trip{}
	for i := range n {
		open[id("dev", i)] = trip(i)
	}
	return loaders.Ports{
		Accounts: memoryAccounts{all: many(3, func(i int) *bff.Account { return &bff.Account{ID: id("acc", i), Name: "Alice"} })},
		Devices:  memoryDevices{all: many(int32(n), device), page: pageInMemory(n, device)},
		Trips:    memoryTrips{page: pageInMemory(n, trip), open: open},
		Jobs: memoryJobs{page: pageInMemory(n, func(i int) *bff.Job {
			return &bff.Job{ID: id("job", i), Name: "a job", Status: "SCHEDULED", DeviceID: id("dev", i)}
		})},
		Activities: memoryActivities{page: pageInMemory(n, func(i int) *bff.Activity {
			return &bff.Activity{ID: id("act", i), Kind: "NOTE", Title: "a note", DeviceID: id("dev", i)}
		})},
	}
}

// sink is a response that is thrown away.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

// answering gives what answers one dashboard of n rows a list, without gRPC and without a socket.
func answering(ports loaders.Ports, reference bool) func() {
	handler := asOperator(server(ports, reference))
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Content-Type", "application/json")
	return func() {
		r.Body = io.NopCloser(strings.NewReader(string(request)))
		handler.ServeHTTP(&sink{http.Header{}}, r)
	}
}

// BenchmarkInProcess counts allocations of one dashboard.
func BenchmarkInProcess(b *testing.B) {
	for name, reference := range map[string]bool{"planned": false, "reference": true} {
		for rows, n := range map[string]int{"20": 20, "1000": 1000} {
			b.Run(name+"/"+rows, func(b *testing.B) {
				answer := answering(inMemory(n), reference)
				b.ReportAllocs()
				for b.Loop() {
					answer()
				}
			})
		}
	}
}

const mostAllocations = 300

func TestDashboardInProcessAllocatesLittle(t *testing.T) {
	answer := answering(inMemory(20), false)
	if n := testing.AllocsPerRun(200, answer); n > mostAllocations {
		t.Errorf("a dashboard takes %.0f allocations, %d are allowed", n, mostAllocations)
	}
}

// BenchmarkLongList compares what a row costs in lists of 1,000 with what it costs in lists of 100:
// 1 is linear. Rounds are interleaved.
func BenchmarkLongList(b *testing.B) {
	for name, reference := range map[string]bool{"planned": false, "reference": true} {
		short, long := answering(inMemory(100), reference), answering(inMemory(1000), reference)
		var ofShort, ofLong []float64
		for range 12 {
			ofShort = append(ofShort, cpuOfRow(short, 100, 60))
			ofLong = append(ofLong, cpuOfRow(long, 1000, 6))
		}
		few, many := median(ofShort[2:]), median(ofLong[2:]) // those before warm up
		b.Logf("%-8s %.2f µs CPU a row of 100, %.2f of 1,000: %.2f ×", name, few, many, many/few)
		b.ReportMetric(many/few, name+"/growth")
		if !reference {
			bar.AtMost(b, name+"/growth", many/few, 1.1)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// cpuOfRow is the CPU that a row of each list takes, in microseconds.
func cpuOfRow(answer func(), rows, rounds int) float64 {
	before := cpu()
	for range rounds {
		answer()
	}
	return float64((cpu() - before).Nanoseconds()) / 1e3 / float64(rows*rounds)
}

// crowded tells how many goroutines there are while references are loaded.
type crowded struct {
	memoryDevices
	most *int
}

func (c crowded) GetDevices(ctx context.Context, ids []string) ([]*bff.Device, error) {
	*c.most = max(*c.most, runtime.NumGoroutine())
	return c.memoryDevices.GetDevices(ctx, ids)
}

// A list of a thousand takes no goroutine an element; gqlgen's executor, which does, shows that they would be seen.
func TestDashboardOfLongListsUsesFewGoroutines(t *testing.T) {
	peak := func(reference bool) int {
		ports, most := inMemory(1000), 0
		ports.Devices = crowded{ports.Devices.(memoryDevices), &most}
		before := runtime.NumGoroutine()
		answering(ports, reference)()
		return most - before
	}
	if n := peak(false); n > 20 {
		t.Errorf("lists of 1,000 take %d goroutines", n)
	}
	if n := peak(true); n < 1000 {
		t.Errorf("gqlgen's executor takes %d goroutines: this test sees nothing", n)
	}
}
