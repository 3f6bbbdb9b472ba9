package rpc_test

import (
	"context"
	"log/slog"
	"testing"
	"time"
	_ "time/tzdata" // the machine may have no time zones

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/obs"
	base "github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/activity"
	"github.com/sluicehq/sluice/services/activity/rpc"
	"github.com/sluicehq/sluice/services/activity/store"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
)

// environment is the service with its store, behind its gRPC contract.
type environment struct {
	activityv1.ActivitiesClient
	db    *sqldb.DB
	clock *clock.Manual
}

func open(t *testing.T) environment {
	t.Helper()
	db := sqltest.OpenSQLite(t, store.Migrations())
	now := clock.NewManual(noon())
	service := activity.New(store.New(db, rpc.EncodeActivity), now)
	options := base.Options{Logger: slog.New(slog.DiscardHandler), Tracing: obs.NoTracing()}
	channel := base.NewChannel(options, func(r grpc.ServiceRegistrar) { rpc.Register(r, service) })
	return environment{ActivitiesClient: activityv1.NewActivitiesClient(base.Within(channel, options)), db: db, clock: now}
}

func noon() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }

// as gives a context of a new account with the role.
func as(t *testing.T, role caller.Role) (ctx context.Context, accountID string) {
	t.Helper()
	accountID = ids.New(ids.Account)
	return caller.NewContext(t.Context(), caller.Caller{AccountID: accountID, Role: role, Scopes: caller.ScopesOf(role)}), accountID
}

func system(t *testing.T) context.Context {
	t.Helper()
	return caller.NewContext(t.Context(), caller.OfSystem())
}

func wantRefusal(t *testing.T, what string, err error, code errs.Code, reason string) {
	t.Helper()
	if e := errs.From(err); err == nil || e.Code != code || e.Reason != reason {
		t.Errorf("%s: %v, want %s %s", what, err, code, reason)
	}
}

func note() *activityv1.Activity {
	return &activityv1.Activity{Kind: activityv1.Kind_KIND_NOTE, Title: "A note"}
}

func water(ml float64) *activityv1.Activity {
	return &activityv1.Activity{Kind: activityv1.Kind_KIND_HYDRATION, Title: "Water", Amount: &ml, Unit: "ml"}
}

func record(ctx context.Context, t *testing.T, h environment, a *activityv1.Activity) *activityv1.Activity {
	t.Helper()
	kept, err := h.RecordActivity(ctx, &activityv1.RecordActivityRequest{Activity: a})
	if err != nil {
		t.Fatal(err)
	}
	return kept
}
