package store_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/activity"
	"github.com/sluicehq/sluice/services/activity/store"
	"github.com/sluicehq/sluice/services/activity/storetest"
)

func encode(a activity.Activity) ([]byte, error) { return json.Marshal(a) }

func TestStore(t *testing.T) {
	t.Parallel()
	sqltest.OnEachEngine(t, store.Migrations(), func(t *testing.T, open func(*testing.T) *sqldb.DB) {
		t.Run("conformance", func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) activity.Store { return store.New(open(t), encode) })
		})
		t.Run("new activity emits one event", func(t *testing.T) { t.Parallel(); events(t, open(t)) })
		t.Run("failed event rolls the activity back", func(t *testing.T) { t.Parallel(); noEvent(t, open(t)) })
	})
}

func named(externalID string) activity.Activity {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	return activity.Activity{
		ID: ids.New(ids.Activity), Kind: activity.Note, Source: "test", ExternalID: externalID, StartedAt: now, Version: 1, CreatedAt: now, UpdatedAt: now, Digest: "digest",
	}
}

func batch(all ...activity.Activity) []activity.ImportedActivity {
	out := make([]activity.ImportedActivity, len(all))
	for i, a := range all {
		out[i].Activity = a
	}
	return out
}

func events(t *testing.T, db *sqldb.DB) {
	s := store.New(db, encode)
	a, b, c := named("b"), named("a"), named("c")
	for _, made := range []activity.Activity{a, named("b")} {
		if _, err := s.Create(t.Context(), idempotency.Key{}, made); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Import(t.Context(), batch(c, named("b"), b, named("a")), time.Now()); err != nil {
		t.Fatal(err)
	}
	pending, err := db.PendingEvents(t.Context(), 100)
	if err != nil || len(pending) != 3 {
		t.Fatalf("%d events, %v", len(pending), err)
	}
	for i, want := range []activity.Activity{a, c, b} {
		var payload activity.Activity
		if err := json.Unmarshal(pending[i].Data, &payload); err != nil {
			t.Fatal(err)
		}
		if payload.ID != want.ID || pending[i].Subject != "event.activity.added."+want.ID {
			t.Errorf("event %d is %s of %s", i, pending[i].Subject, payload.ID)
		}
	}
}

func noEvent(t *testing.T, db *sqldb.DB) {
	unwell := errors.New("unwell")
	s := store.New(db, func(activity.Activity) ([]byte, error) { return nil, unwell })
	if _, err := s.Import(t.Context(), batch(named("a")), time.Now()); !errors.Is(err, unwell) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Create(t.Context(), idempotency.Key{}, named("b")); !errors.Is(err, unwell) {
		t.Errorf("got %v", err)
	}
	var rows int
	if err := db.Read().QueryRowContext(t.Context(), `SELECT COUNT(*) FROM activities`).Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows stay, %v", rows, err)
	}
}
