package device_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/store"
)

// field is the service with its rows, as a broker's consumer sees it.
type field struct {
	*device.Service
	db    *sqldb.DB
	store *store.Store
	clock *clock.Manual
}

func open(t *testing.T) field {
	t.Helper()
	db := sqltest.OpenSQLite(t, store.Migrations())
	now := clock.NewManual(time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC))
	kept := store.New(db, device.Encoding{Device: encode[device.Device], Command: encode[device.Command], LogLine: encode[device.LogLine]})
	return field{Service: device.New(kept, now, device.Options{}), db: db, store: kept, clock: now}
}

func encode[T any](v T) ([]byte, error) { return json.Marshal(v) }

func (f field) register(t testing.TB, kind device.Kind) device.Device {
	t.Helper()
	ctx := caller.NewContext(t.Context(), caller.OfSystem())
	d, err := f.Register(ctx, device.RegisterInput{Name: "press", Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	return d.Device
}

// events gives what happened to the device, the newest first.
func (f field) events(t *testing.T, id string) []device.Event {
	t.Helper()
	pages, err := f.store.Events(t.Context(), []string{id}, page.Request{First: 100})
	if err != nil {
		t.Fatal(err)
	}
	return pages[id].Items
}

func TestWhatNobodyTakesIsNotedWithTheReason(t *testing.T) {
	t.Parallel()
	f := open(t)
	d := f.register(t, device.Sensor)
	for _, m := range []device.UpMessage{
		{DeviceID: d.ID, Topic: "weather"},
		{DeviceID: d.ID, Topic: device.UpTelemetry, Payload: make([]byte, 64<<10+1)},
	} {
		if err := f.Take(t.Context(), m); err != nil {
			t.Fatalf("%s comes again: %v", m.Topic, err)
		}
		e := f.events(t, d.ID)[0]
		if e.Type != device.Refused || e.Actor != d.ID || !strings.Contains(e.Data, `"topic":"`+string(m.Topic)+`"`) || !strings.Contains(e.Data, `"reason":"INVALID_FIELD"`) {
			t.Errorf("%s is noted as %+v", m.Topic, e)
		}
	}
	if err := f.Take(t.Context(), device.UpMessage{DeviceID: ids.New(ids.Device), Topic: "weather"}); err != nil {
		t.Errorf("a message of a device that is not there comes again: %v", err)
	}
}
