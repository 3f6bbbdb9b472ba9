package store_test

import (
	"testing"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/job/store"
	"github.com/sluicehq/sluice/services/job/storetest"
)

func TestStoreEveryEnginePassesConformanceSuite(t *testing.T) {
	t.Parallel()
	sqltest.OnEachEngine(t, store.Migrations(), func(t *testing.T, open func(t *testing.T) *sqldb.DB) {
		storetest.Run(t, func(t *testing.T) storetest.Store {
			db := open(t)
			return storetest.Store{
				Store:  store.New(db, storetest.EncodeJob, storetest.EncodeOrder),
				Events: func(t *testing.T) []storetest.Event { return emitted(t, db) },
			}
		})
	})
}

func emitted(t *testing.T, db *sqldb.DB) []storetest.Event {
	t.Helper()
	pending, err := db.PendingEvents(t.Context(), 10_000)
	if err != nil {
		t.Fatal(err)
	}
	events := make([]storetest.Event, len(pending))
	for i, e := range pending {
		events[i] = storetest.Event{Subject: e.Subject, Data: string(e.Data)}
	}
	return events
}
