package bench

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	accountv1 "github.com/sluicehq/sluice/services/gen/account/v1"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	jobv1 "github.com/sluicehq/sluice/services/gen/job/v1"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

// Services that make their answers up, cheaply.
type (
	accounts struct {
		accountv1.UnimplementedAccountsServer
	}
	devices struct {
		devicev1.UnimplementedDevicesServer
	}
	trips struct {
		tripv1.UnimplementedTripsServer
	}
	jobs struct {
		jobv1.UnimplementedJobsServer
	}
	activities struct {
		activityv1.UnimplementedActivitiesServer
	}
)

func registerAll(r grpc.ServiceRegistrar) {
	accountv1.RegisterAccountsServer(r, accounts{})
	devicev1.RegisterDevicesServer(r, devices{})
	tripv1.RegisterTripsServer(r, trips{})
	jobv1.RegisterJobsServer(r, jobs{})
	activityv1.RegisterActivitiesServer(r, activities{})
}

var (
	now   = timestamppb.New(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC))
	place = &typesv1.Position{Latitude: 48.1, Longitude: 11.5, At: now}
)

func id(kind string, i int) string { return fmt.Sprintf("%s_%024d", kind, i) }

func many[T any](n int32, one func(i int) T) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = one(i)
	}
	return list
}

func pageOf(n int32) *typesv1.PageInfo {
	return &typesv1.PageInfo{Cursors: many(n, func(i int) string { return fmt.Sprint("cursor", i) }), HasNext: true}
}

func device(id string) *devicev1.Device {
	return &devicev1.Device{Id: id, Name: "vehicle " + id[len(id)-4:], Kind: devicev1.Kind_KIND_VEHICLE, Labels: map[string]string{"site": "north"},
		Version: 3, Presence: devicev1.Presence_PRESENCE_ONLINE, LastSeenAt: now, CreatedAt: now}
}

func (accounts) BatchGetAccounts(_ context.Context, r *accountv1.BatchGetRequest) (*accountv1.BatchGetAccountsResponse, error) {
	return &accountv1.BatchGetAccountsResponse{Accounts: many(int32(len(r.GetIds())), func(i int) *accountv1.Account {
		return &accountv1.Account{Id: r.GetIds()[i], Name: "Alice", CreatedAt: now, Role: accountv1.Role_ROLE_MEMBER}
	})}, nil
}

func (devices) BatchGetDevices(_ context.Context, r *devicev1.BatchGetDevicesRequest) (*devicev1.BatchGetDevicesResponse, error) {
	return &devicev1.BatchGetDevicesResponse{Devices: many(int32(len(r.GetIds())), func(i int) *devicev1.Device { return device(r.GetIds()[i]) })}, nil
}

func (devices) ListDevices(_ context.Context, r *devicev1.ListDevicesRequest) (*devicev1.ListDevicesResponse, error) {
	n := r.GetPage().GetFirst()
	return &devicev1.ListDevicesResponse{Devices: many(n, func(i int) *devicev1.Device { return device(id("dev", i)) }), Page: pageOf(n)}, nil
}

func trip(i int, vehicle string) *tripv1.Trip {
	return &tripv1.Trip{Id: id("trip", i), Status: tripv1.Status_STATUS_IN_PROGRESS, Version: 2, AccountId: id("acc", i%3), VehicleId: vehicle,
		Start: place, Current: place, DistanceMetres: 1234.5 + float64(i), DurationSeconds: 60, Fee: &tripv1.Money{AmountMinor: 123, Currency: "EUR"}}
}

func (trips) ListTrips(_ context.Context, r *tripv1.ListTripsRequest) (*tripv1.ListTripsResponse, error) {
	n := r.GetPage().GetFirst()
	return &tripv1.ListTripsResponse{Trips: many(n, func(i int) *tripv1.Trip { return trip(i, id("dev", i%15)) }), Page: pageOf(n)}, nil
}

func (trips) BatchGetOpenTrips(_ context.Context, r *tripv1.BatchGetOpenTripsRequest) (*tripv1.BatchGetOpenTripsResponse, error) {
	var open []*tripv1.Trip
	for _, vehicle := range r.GetVehicleIds() {
		if last := int(vehicle[len(vehicle)-1] - '0'); last%2 == 0 {
			open = append(open, trip(last, vehicle))
		}
	}
	return &tripv1.BatchGetOpenTripsResponse{Trips: open}, nil
}

func (jobs) ListJobs(_ context.Context, r *jobv1.ListJobsRequest) (*jobv1.ListJobsResponse, error) {
	n := r.GetPage().GetFirst()
	return &jobv1.ListJobsResponse{Jobs: many(n, func(i int) *jobv1.Job {
		return &jobv1.Job{Id: id("job", i), Name: fmt.Sprint("job ", i), Kind: "log", PayloadJson: `{"message":"x"}`, Status: jobv1.Status_STATUS_SCHEDULED,
			Version: 1, DeviceId: id("dev", i%17), CreatedAt: now, UpdatedAt: now, NextRunAt: now, MaxAttempts: 3, TimeoutSeconds: 30}
	}), Page: pageOf(n)}, nil
}

func (activities) ListActivities(_ context.Context, r *activityv1.ListActivitiesRequest) (*activityv1.ListActivitiesResponse, error) {
	n := r.GetPage().GetFirst()
	return &activityv1.ListActivitiesResponse{Activities: many(n, func(i int) *activityv1.Activity {
		return &activityv1.Activity{Id: id("act", i), Kind: activityv1.Kind_KIND_NOTE, Source: "api", Title: fmt.Sprint("a note on ", i), StartedAt: now,
			DeviceId: id("dev", i%19), CreatedAt: now}
	}), Page: pageOf(n)}, nil
}
