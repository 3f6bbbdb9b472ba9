package graph_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	accountv1 "github.com/sluicehq/sluice/services/gen/account/v1"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	jobv1 "github.com/sluicehq/sluice/services/gen/job/v1"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

const dashboard = `{
  overview { devices { online total } jobs { running } recentActivities { title startedAt } degraded }
  trips(first: 20) { nodes { id status distance fee { amountMinor currency } vehicle { id name } account { name } } }
  jobs(first: 20) { nodes { id name status device { id name } } }
  activities(first: 50) { nodes { id kind title startedAt device { id name } } }
  devices(first: 20) { nodes { id name currentTrip { id } } }
}`

// whole is the dashboard over all rows, and a level deeper.
const whole = `{
  trips(first: 1000) { totalCount nodes { id vehicle { id name jobs(first: 1) { nodes { id } } } account { name } track(maxPoints: 2) { at } } }
  jobs(first: 1000) { nodes { id device { id name currentTrip { id } } runs(first: 1) { nodes { id } } } }
  activities(first: 1000) { nodes { id device { id name } } }
  devices(first: 1000) { nodes { id name currentTrip { id } config { inSync } events(first: 1) { nodes { type } }
    commands(first: 1) { nodes { id log(first: 1) { text } } } log(from: "2026-01-01T00:00:00Z", to: "2027-01-01T00:00:00Z", first: 1) { text } } }
}`

// oneOrTwo is how often two levels of a query ask for the same: once when the first of them has asked
// by then, since neither waits for the other.
const oneOrTwo = -1

// The number of calls depends on the shape of the query, never on how much there is: one a method of
// a service for each level that asks it.
func TestServiceCallsAreConstantAsRowsGrow(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, query string
		want        map[string]int
	}{
		{"dashboard", dashboard, map[string]int{
			"account BatchGetAccounts": 2, // overview, trips.account
			"device CountDevices":      1,
			"device ListDevices":       1,
			"device BatchGetDevices":   1, // trips.vehicle, jobs.device and activities.device together
			"trip ListTrips":           1,
			"trip BatchGetOpenTrips":   2, // overview, devices.currentTrip
			"job CountJobs":            1,
			"job ListJobs":             1,
			"activity ListActivities":  2, // overview, activities
		}},
		{"all rows, three levels", whole, map[string]int{
			"account BatchGetAccounts":   1,
			"device ListDevices":         1,
			"device BatchGetDevices":     1,
			"device BatchListEvents":     1,
			"device BatchListCommands":   1,
			"device BatchGetCommandLogs": 1,
			"device BatchGetDeviceLogs":  1,
			"trip ListTrips":             1,
			"trip BatchGetOpenTrips":     oneOrTwo, // the vehicles of both levels are the same
			"trip BatchGetTracks":        1,
			"job ListJobs":               1,
			"job BatchListRuns":          1,
			"job BatchListDeviceJobs":    1,
			"activity ListActivities":    1,
			"device BatchGetConfigs":     1,
		}},
	}
	for _, rows := range []int{10, 1000} {
		h := open(t)
		h.fill(t, rows)
		who := h.signIn(t, "operator")
		h.get(t, who, "{ viewer { scopes } }", nil) // the keys are read, once for all
		for _, c := range cases {
			h.calls.take()
			h.get(t, who, c.query, nil)
			got := h.calls.take()
			if !maps.EqualFunc(got, c.want, func(n, want int) bool { return n == want || want == oneOrTwo && (n == 1 || n == 2) }) {
				t.Errorf("%s over %d rows makes the calls %v, want %v", c.name, rows, got, c.want)
			}
		}
	}
}

// fill makes n devices, and n trips, jobs and activities that concern them.
func (h *environment) fill(t *testing.T, n int) {
	t.Helper()
	ctx := caller.NewContext(t.Context(), caller.OfSystem())
	devices := h.fillDevices(t, ctx, n)
	h.fillTrips(t, ctx, devices)
	h.fillCommands(t, ctx, devices)
	activities := make([]*activityv1.Activity, n)
	for i := range activities {
		activities[i] = &activityv1.Activity{
			Kind: activityv1.Kind_KIND_NOTE, Source: "test", ExternalId: fmt.Sprint(i), Title: fmt.Sprint("note ", i),
			StartedAt: h.ago(i), DeviceId: devices[i],
		}
	}
	if _, err := activityv1.NewActivitiesClient(h.lines["activity"]).ImportActivities(ctx, &activityv1.ImportActivitiesRequest{Activities: activities}); err != nil {
		t.Fatal(err)
	}
	jobs := jobv1.NewJobsClient(h.lines["job"])
	for i := range n {
		if _, err := jobs.CreateJob(ctx, &jobv1.CreateJobRequest{
			Name: fmt.Sprint("job ", i), Kind: "log", PayloadJson: `{"message": "x"}`, RunAt: h.ago(-3600), DeviceId: devices[i],
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *environment) fillCommands(t *testing.T, ctx context.Context, devices []string) {
	t.Helper()
	commands := devicev1.NewCommandsClient(h.lines["device"])
	for _, device := range devices {
		if _, err := commands.SendCommand(ctx, &devicev1.SendCommandRequest{DeviceId: device, Name: "reboot"}); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *environment) ago(seconds int) *timestamppb.Timestamp {
	return timestamppb.New(h.clock.Now().Add(-time.Duration(seconds) * time.Second))
}

func (h *environment) fillDevices(t *testing.T, ctx context.Context, n int) []string {
	t.Helper()
	imported := make([]*devicev1.ImportedDevice, n)
	for i := range imported {
		imported[i] = &devicev1.ImportedDevice{ExternalId: fmt.Sprint(i), Name: fmt.Sprintf("vehicle %04d", i), Kind: devicev1.Kind_KIND_VEHICLE}
	}
	made, err := devicev1.NewDevicesClient(h.lines["device"]).ImportDevices(ctx, &devicev1.ImportDevicesRequest{Source: "test", Devices: imported})
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, n)
	for i, device := range made.GetDevices() {
		ids[i] = device.GetId()
	}
	return ids
}

func (h *environment) fillTrips(t *testing.T, ctx context.Context, vehicles []string) {
	t.Helper()
	driver, err := accountv1.NewAccountsClient(h.lines["account"]).EnsureAccount(ctx, &accountv1.EnsureAccountRequest{
		Provider: "DEMO", Subject: "alice", Name: "Alice", Role: accountv1.Role_ROLE_MEMBER,
	})
	if err != nil {
		t.Fatal(err)
	}
	trips := tripv1.NewTripsClient(h.lines["trip"])
	for i, vehicle := range vehicles {
		ride := &tripv1.Ride{
			ExternalId: fmt.Sprint(i),
			Start:      &typesv1.Position{Latitude: 48, Longitude: 11, At: h.ago(2*i + 7200)},
			End:        &typesv1.Position{Latitude: 48.01, Longitude: 11, At: h.ago(2*i + 7000)},
		}
		stored, err := trips.ImportRides(ctx, &tripv1.ImportRidesRequest{
			Source: "test", AccountId: driver.GetId(), VehicleId: vehicle, Rides: []*tripv1.Ride{ride},
		})
		if err != nil || len(stored.GetFaults()) > 0 {
			t.Fatal(err, stored)
		}
	}
}
