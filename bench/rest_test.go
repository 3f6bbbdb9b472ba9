package bench

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	accountv1 "github.com/sluicehq/sluice/services/gen/account/v1"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	jobv1 "github.com/sluicehq/sluice/services/gen/job/v1"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

// rest is the limit: a handler that somebody wrote by hand for this one page, over the same calls.
type rest struct {
	accounts   accountv1.AccountsClient
	devices    devicev1.DevicesClient
	trips      tripv1.TripsClient
	jobs       jobv1.JobsClient
	activities activityv1.ActivitiesClient
}

func newREST(conn grpc.ClientConnInterface) *rest {
	return &rest{accountv1.NewAccountsClient(conn), devicev1.NewDevicesClient(conn), tripv1.NewTripsClient(conn),
		jobv1.NewJobsClient(conn), activityv1.NewActivitiesClient(conn)}
}

type (
	named struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	name struct {
		Name string `json:"name"`
	}
	only struct {
		ID string `json:"id"`
	}
	money struct {
		AmountMinor int64  `json:"amountMinor"`
		Currency    string `json:"currency"`
	}
	tripRow struct {
		ID       string  `json:"id"`
		Status   string  `json:"status"`
		Distance float64 `json:"distance"`
		Fee      money   `json:"fee"`
		Vehicle  *named  `json:"vehicle"`
		Account  *name   `json:"account"`
	}
	jobRow struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Status string `json:"status"`
		Device *named `json:"device"`
	}
	activityRow struct {
		ID        string    `json:"id"`
		Kind      string    `json:"kind"`
		Title     string    `json:"title"`
		StartedAt time.Time `json:"startedAt"`
		Device    *named    `json:"device"`
	}
	deviceRow struct {
		ID          string `json:"id"`
		Name        string `json:"name"`
		CurrentTrip *only  `json:"currentTrip"`
	}
	list[T any] struct {
		Nodes []T `json:"nodes"`
	}
	page struct {
		Trips      list[tripRow]     `json:"trips"`
		Jobs       list[jobRow]      `json:"jobs"`
		Activities list[activityRow] `json:"activities"`
		Devices    list[deviceRow]   `json:"devices"`
	}
)

// answers are what the services said.
type answers struct {
	trips      *tripv1.ListTripsResponse
	jobs       *jobv1.ListJobsResponse
	activities *activityv1.ListActivitiesResponse
	devices    *devicev1.ListDevicesResponse
	open       *tripv1.BatchGetOpenTripsResponse
	accounts   *accountv1.BatchGetAccountsResponse
	vehicles   *devicev1.BatchGetDevicesResponse
}

func (h *rest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var a answers
	if err := h.lists(r.Context(), &a); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	if err := h.references(r.Context(), &a); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]page{"data": a.page()})
}

func (h *rest) lists(ctx context.Context, a *answers) error {
	first := &typesv1.PageRequest{First: 20}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		a.trips, err = h.trips.ListTrips(ctx, &tripv1.ListTripsRequest{Page: first})
		return err
	})
	g.Go(func() (err error) {
		a.jobs, err = h.jobs.ListJobs(ctx, &jobv1.ListJobsRequest{Page: first})
		return err
	})
	g.Go(func() (err error) {
		a.activities, err = h.activities.ListActivities(ctx, &activityv1.ListActivitiesRequest{Page: first})
		return err
	})
	g.Go(func() (err error) {
		a.devices, err = h.devices.ListDevices(ctx, &devicev1.ListDevicesRequest{Page: first})
		return err
	})
	return g.Wait()
}

func (h *rest) references(ctx context.Context, a *answers) error {
	vehicles, people, listed := set{}, set{}, set{}
	for _, t := range a.trips.GetTrips() {
		vehicles.add(t.GetVehicleId())
		people.add(t.GetAccountId())
	}
	for _, j := range a.jobs.GetJobs() {
		vehicles.add(j.GetDeviceId())
	}
	for _, x := range a.activities.GetActivities() {
		vehicles.add(x.GetDeviceId())
	}
	for _, d := range a.devices.GetDevices() {
		listed.add(d.GetId())
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		a.open, err = h.trips.BatchGetOpenTrips(ctx, &tripv1.BatchGetOpenTripsRequest{VehicleIds: listed.ids()})
		return err
	})
	g.Go(func() (err error) {
		a.accounts, err = h.accounts.BatchGetAccounts(ctx, &accountv1.BatchGetRequest{Ids: people.ids()})
		return err
	})
	g.Go(func() (err error) {
		a.vehicles, err = h.devices.BatchGetDevices(ctx, &devicev1.BatchGetDevicesRequest{Ids: vehicles.ids()})
		return err
	})
	return g.Wait()
}

type set map[string]struct{}

func (s set) add(id string) { s[id] = struct{}{} }

func (s set) ids() []string {
	ids := make([]string, 0, len(s))
	for id := range s {
		ids = append(ids, id)
	}
	return ids
}

func (a *answers) page() page {
	vehicles, people, open := map[string]*named{}, map[string]*name{}, map[string]*only{}
	for _, d := range a.vehicles.GetDevices() {
		vehicles[d.GetId()] = &named{d.GetId(), d.GetName()}
	}
	for _, p := range a.accounts.GetAccounts() {
		people[p.GetId()] = &name{p.GetName()}
	}
	for _, t := range a.open.GetTrips() {
		open[t.GetVehicleId()] = &only{t.GetId()}
	}
	var p page
	for _, t := range a.trips.GetTrips() {
		p.Trips.Nodes = append(p.Trips.Nodes, tripRow{t.GetId(), strings.TrimPrefix(t.GetStatus().String(), "STATUS_"), t.GetDistanceMetres(),
			money{t.GetFee().GetAmountMinor(), t.GetFee().GetCurrency()}, vehicles[t.GetVehicleId()], people[t.GetAccountId()]})
	}
	for _, j := range a.jobs.GetJobs() {
		p.Jobs.Nodes = append(p.Jobs.Nodes, jobRow{j.GetId(), j.GetName(), strings.TrimPrefix(j.GetStatus().String(), "STATUS_"), vehicles[j.GetDeviceId()]})
	}
	for _, x := range a.activities.GetActivities() {
		p.Activities.Nodes = append(p.Activities.Nodes, activityRow{x.GetId(), strings.TrimPrefix(x.GetKind().String(), "KIND_"), x.GetTitle(),
			x.GetStartedAt().AsTime(), vehicles[x.GetDeviceId()]})
	}
	for _, d := range a.devices.GetDevices() {
		p.Devices.Nodes = append(p.Devices.Nodes, deviceRow{d.GetId(), d.GetName(), open[d.GetId()]})
	}
	return p
}
