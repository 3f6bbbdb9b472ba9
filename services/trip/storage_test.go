package trip_test

import (
	"testing"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/trip"
)

func TestRiderWithoutStorageReportsNothingAndIsStillCharged(t *testing.T) {
	t.Parallel()
	const limit = 10_000
	d := newDrive(t, "")
	d.db.LimitStorage(sqldb.StorageLimits{Account: limit})
	d.start(north(0, 0))
	var refusal error
	for s := 1.0; refusal == nil && s < 200; s++ {
		d.at(s)
		_, refusal = d.ReportPosition(d.rider, d.trip.ID, north(s, s))
	}
	wantStorageRefusal := func(what string, err error) {
		t.Helper()
		if e := errs.From(err); e == nil || e.Reason != "STORAGE_QUOTA_EXHAUSTED" {
			t.Errorf("%s: %v", what, err)
		}
	}
	wantStorageRefusal("a fix of the rider", refusal)
	storage, err := d.db.Storage(t.Context(), []string{d.trip.AccountID})
	if used := storage[d.trip.AccountID].Used; err != nil || used > limit || used < limit/2 {
		t.Errorf("%d bytes are used of %d, %v", used, limit, err)
	}
	d.at(1_000)
	d.byVehicle(north(1_000, 1_000))
	d.wantMetres("the vehicle", 1_000)
	if _, err := d.End(d.rider, trip.EndInput{TripID: d.trip.ID}); err != nil {
		t.Errorf("the end: %v", err)
	}
	_, err = d.Start(d.rider, trip.StartInput{VehicleID: ids.New(ids.Device), Position: north(1_000, 1_000)})
	wantStorageRefusal("another trip", err)
}
