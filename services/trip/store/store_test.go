package store_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/trip"
	"github.com/sluicehq/sluice/services/trip/store"
	"github.com/sluicehq/sluice/services/trip/storetest"
)

func encode(t trip.Trip) ([]byte, error) { return json.Marshal(t) }

func TestStoreEveryEnginePassesConformanceSuite(t *testing.T) {
	t.Parallel()
	sqltest.OnEachEngine(t, store.Migrations(), func(t *testing.T, open func(*testing.T) *sqldb.DB) {
		t.Run("conformance", func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) trip.Store { return store.New(open(t), encode) })
		})
		t.Run("every change emits one event with the trip as kept", func(t *testing.T) { t.Parallel(); events(t, open(t)) })
	})
}

func events(t *testing.T, db *sqldb.DB) {
	s := store.New(db, encode)
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	position := trip.Position{Latitude: 48, Longitude: 11, At: now}
	draft := trip.Trip{
		ID: ids.New(ids.Trip), Status: trip.Finished, Start: position, DistanceSource: trip.FromTrack, Source: "test", ExternalID: "1",
	}
	decide := func(t trip.Trip, fresh []trip.Position) (*trip.Change, error) {
		if len(fresh) == 0 {
			return nil, nil
		}
		t, fix := trip.Observe(t, fresh[0])
		t.Version++
		return &trip.Change{Trip: t, Fixes: []trip.Fix{fix}, Event: trip.Imported, At: now}, nil
	}
	for range 2 { // the second run finds nothing to emit
		if _, _, err := s.ChangeImported(t.Context(), draft, []trip.Position{position}, decide); err != nil {
			t.Fatal(err)
		}
	}
	live := draft
	live.ID, live.Source, live.ExternalID, live.Status, live.Version = ids.New(ids.Trip), "", "", trip.InProgress, 1
	made := trip.Change{Trip: live, Event: trip.Started, At: now}
	if _, err := s.Create(t.Context(), idempotency.Key{}, made); err != nil {
		t.Fatal(err)
	}
	live.ID = ids.New(ids.Trip)
	if _, err := s.Create(t.Context(), idempotency.Key{}, trip.Change{Trip: live, Event: trip.Started, At: now}); err == nil {
		t.Fatal("a second open trip passes")
	}
	wantEvents(t, db, "event.trip.imported."+draft.ID, "event.trip.started."+made.Trip.ID)
}

func wantEvents(t *testing.T, db *sqldb.DB, want ...string) {
	t.Helper()
	pending, err := db.PendingEvents(t.Context(), 100)
	if err != nil || len(pending) != len(want) {
		t.Fatalf("%d events, %v; want %v", len(pending), err, want)
	}
	for i, e := range pending {
		var kept trip.Trip
		if err := json.Unmarshal(e.Data, &kept); err != nil {
			t.Fatal(err)
		}
		if e.Subject != want[i] || !strings.HasSuffix(e.Subject, kept.ID) || kept.Version != 1 {
			t.Errorf("event %d is %s with version %d, want %s", i, e.Subject, kept.Version, want[i])
		}
	}
}
