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
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/store"
	"github.com/sluicehq/sluice/services/device/storetest"
	"github.com/sluicehq/sluice/services/device/telemetry"
)

func encoding() assembly.Encoding {
	return assembly.Encoding{Device: encode[device.Device], Command: encode[command.Command], LogLine: encode[command.LogLine]}
}

func encode[T any](v T) ([]byte, error) { return json.Marshal(v) }

func TestConformance(t *testing.T) {
	t.Parallel()
	sqltest.OnEachEngine(t, store.Migrations(), func(t *testing.T, open func(t *testing.T) *sqldb.DB) {
		storetest.Run(t, func(t *testing.T) assembly.Store { return store.New(open(t), encoding()) })
	})
}

func sample() device.Change {
	at := time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)
	d := device.Device{
		ID: ids.New(ids.Device), Version: 1, Name: "press", Kind: device.Sensor, Labels: map[string]string{},
		Presence: device.Unknown, CreatedAt: at, UpdatedAt: at, Source: "s", ExternalID: "x",
	}
	return device.Change{Device: d, Event: device.Event{ID: ids.New(ids.Event), DeviceID: d.ID, At: at, Type: device.Imported, Data: "{}"}}
}

// next is the change of a device to its next version.
func next(d device.Device, what device.EventType) *device.Change {
	d.Version++
	d.Deleted = what == device.Deleted
	return &device.Change{Device: d, Event: device.Event{ID: ids.New(ids.Event), DeviceID: d.ID, At: d.UpdatedAt, Type: what, Data: "{}"}}
}

func TestEveryChangeEmitsOneEventWithTheDeviceAsItIs(t *testing.T) {
	t.Parallel()
	sqltest.OnEachEngine(t, store.Migrations(), func(t *testing.T, open func(t *testing.T) *sqldb.DB) {
		db := open(t)
		s := store.New(db, encoding())
		made := sample()
		merge := func(known, _ device.Device) (*device.Change, error) { return nil, nil }
		for range 2 { // the second changes nothing
			if _, _, err := s.Import(t.Context(), []device.Change{made}, merge); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Record(t.Context(), made.Device.ID, []telemetry.Reading{{Key: "k", At: made.Event.At, Value: 1}}, &made.Event.At); err != nil {
			t.Fatal(err)
		}
		for _, what := range []device.EventType{device.Updated, device.Deleted} {
			if _, err := s.Change(t.Context(), made.Device.ID, func(d device.Device) (*device.Change, error) { return next(d, what), nil }); err != nil {
				t.Fatal(err)
			}
		}
		events, err := db.PendingEvents(t.Context(), 10)
		if err != nil || len(events) != 3 {
			t.Fatalf("%d events, %v", len(events), err)
		}
		for i, change := range []string{"imported", "updated", "deleted"} {
			var d device.Device
			if err := json.Unmarshal(events[i].Data, &d); err != nil {
				t.Fatal(err)
			}
			if events[i].Subject != "event.device."+change+"."+d.ID || d.Version != int64(i+1) || d.Deleted != (change == "deleted") {
				t.Errorf("event %d: %s with %+v", i, events[i].Subject, d)
			}
		}
	})
}

func TestChangeWithoutEncodingIsRolledBack(t *testing.T) {
	t.Parallel()
	db := sqltest.OpenSQLite(t, store.Migrations())
	s := store.New(db, assembly.Encoding{Device: func(device.Device) ([]byte, error) { return nil, errors.New("no bytes") }})
	made := sample()
	if _, err := s.Create(t.Context(), idempotency.Key{}, made); err == nil {
		t.Fatal("created a device whose event cannot be written")
	}
	if found, err := s.Get(t.Context(), []string{made.Device.ID}); err != nil || len(found) != 0 {
		t.Errorf("kept %+v, %v", found, err)
	}
}
