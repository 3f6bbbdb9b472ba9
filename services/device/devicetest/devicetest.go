// Package devicetest opens the device service for tests, with a store, a clock and devices.
package devicetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/store"
)

// Radio is a downlink that records commands; it fails while it is down.
type Radio struct {
	Down bool

	mu   sync.Mutex
	sent []Order
}

// Order is a command as the device received it.
type Order struct {
	DeviceID  string `json:"-"`
	ID        string
	Name      string
	Arguments json.RawMessage
	Deadline  time.Time
}

// Route returns true.
func (r *Radio) Route(context.Context, string) (bool, error) { return true, nil }

// Deliver records a message to a device.
func (r *Radio) Deliver(_ context.Context, m device.DownMessage) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Down {
		return errors.New("the broker is away")
	}
	if m.Topic != device.DownCommands {
		return nil
	}
	order := Order{DeviceID: m.DeviceID}
	if err := json.Unmarshal(m.Payload, &order); err != nil {
		return err
	}
	r.sent = append(r.sent, order)
	return nil
}

// Take returns the commands since the last call.
func (r *Radio) Take() []Order {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent := r.sent
	r.sent = nil
	return sent
}

// Station is the service with its store.
type Station struct {
	*assembly.Service
	DB       *sqldb.DB
	Store    *store.Store
	Clock    *clock.Manual
	Radio    *Radio
	Downlink device.Downlink // the Radio, unless a test replaces it
}

// Start is the initial time of the clock.
func Start() time.Time { return time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC) }

// Open returns a station without devices.
func Open(t testing.TB) *Station {
	t.Helper()
	db, radio := sqltest.OpenSQLite(t, store.Migrations()), &Radio{}
	encoding := assembly.Encoding{Device: encode[device.Device], Command: encode[command.Command], LogLine: encode[command.LogLine]}
	s := &Station{DB: db, Store: store.New(db, encoding), Clock: clock.NewManual(Start()), Radio: radio, Downlink: radio}
	s.Restart()
	return s
}

func encode[T any](v T) ([]byte, error) { return json.Marshal(v) }

// Restart replaces the service by a new one over the same store.
func (s *Station) Restart() {
	s.Service = assembly.New(s.Store, s.Clock, assembly.Options{Downlink: s.Downlink})
}

// As returns a context of a caller with all scopes of the role.
func As(t testing.TB, role caller.Role) context.Context {
	t.Helper()
	return caller.NewContext(t.Context(), caller.Caller{AccountID: "account_" + strings.ToLower(string(role)), Role: role, Scopes: caller.ScopesOf(role)})
}

// Register registers a device.
func (s *Station) Register(t testing.TB, kind device.Kind) device.Device {
	t.Helper()
	d, err := s.Registry.Register(As(t, caller.System), registry.RegisterInput{Name: "press", Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	return d.Device
}

// Events returns the events of the device, the newest first.
func (s *Station) Events(t testing.TB, id string) []device.Event {
	t.Helper()
	pages, err := s.Store.Events(t.Context(), []string{id}, page.Request{First: 100})
	if err != nil {
		t.Fatal(err)
	}
	return pages[id].Items
}

// Noted returns the types of the newest events of the device, without its registration.
func (s *Station) Noted(t testing.TB, deviceID string) string {
	t.Helper()
	var types []string
	for _, e := range s.Events(t, deviceID) {
		if e.Type != device.Registered {
			types = append(types, string(e.Type))
		}
	}
	return strings.Join(types, " ")
}

// Send sends a command as an operator, by default a reboot.
func (s *Station) Send(t testing.TB, in command.SendInput) command.Command {
	t.Helper()
	if in.Name == "" {
		in.Name = "reboot"
	}
	c, err := s.Commands.Send(As(t, caller.Operator), in)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Command returns the stored command.
func (s *Station) Command(t testing.TB, id string) command.Command {
	t.Helper()
	found, err := s.Commands.BatchGet(As(t, caller.Operator), []string{id})
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	return found[0]
}

// Hear handles a message of the device, sent now.
func (s *Station) Hear(t testing.TB, deviceID string, topic device.UpTopic, format string, args ...any) {
	t.Helper()
	m := device.UpMessage{DeviceID: deviceID, Topic: topic, Payload: fmt.Appendf(nil, format, args...), ArrivedAt: s.Clock.Now()}
	if err := s.Uplink.Handle(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// RunDue runs the due tasks.
func (s *Station) RunDue(t testing.TB) {
	t.Helper()
	if err := s.Reconciler.RunDue(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// SetPresence sets the presence of a device.
func (s *Station) SetPresence(t testing.TB, id string, p device.Presence) {
	t.Helper()
	err := s.DB.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE devices SET presence = $1 WHERE id = $2`, string(p), id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
