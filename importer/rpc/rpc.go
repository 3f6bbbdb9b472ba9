// Package rpc implements the ports of package importer by gRPC calls to the services. Errors are *errs.Error and
// returned unchanged.
package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/importer"
	accountv1 "github.com/sluicehq/sluice/services/gen/account/v1"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

// New returns the services behind connections of internal/rpc.
func New(account, device, trip, activity grpc.ClientConnInterface) importer.Services {
	return importer.Services{
		Accounts:   accounts{client: accountv1.NewAccountsClient(account)},
		Devices:    devices{client: devicev1.NewDevicesClient(device)},
		Trips:      trips{client: tripv1.NewTripsClient(trip)},
		Activities: activities{client: activityv1.NewActivitiesClient(activity)},
	}
}

type accounts struct{ client accountv1.AccountsClient }

func (a accounts) EnsureAccount(ctx context.Context, i importer.Identity) (string, error) {
	account, err := a.client.EnsureAccount(ctx, &accountv1.EnsureAccountRequest{
		Provider: i.Provider, Subject: i.Subject, Name: i.Name,
		Role: accountv1.Role(accountv1.Role_value["ROLE_"+string(i.Role)]),
	})
	return account.GetId(), err
}

func (a accounts) HasAccount(ctx context.Context, id string) (bool, error) {
	reply, err := a.client.BatchGetAccounts(ctx, &accountv1.BatchGetRequest{Ids: []string{id}})
	return len(reply.GetAccounts()) > 0, err
}

func position(latitude, longitude float64, at time.Time) *typesv1.Position {
	return &typesv1.Position{Latitude: latitude, Longitude: longitude, At: timestamppb.New(at)}
}
