package importer

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"
	_ "time/tzdata" // zones on machines that have no list of them

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/recordings"
)

// Options is what files may not say. The zero Options suit a file that says everything, of rows that
// belong to nobody.
type Options struct {
	// Account is whose the rows are: an account id, or the code of a demo identity ("alice"). Trips
	// and water need one; observations without one are everybody's.
	Account string
	// Device is the vehicle or the sensor of rows that name none: its key in the source, which is
	// its name too, or a device id. "" means the name of the file without its ending.
	Device string
	// DeviceName is how the devices that rows name are called, {key} standing for what the rows call
	// them, as in "Bus {key}". "" means {key}.
	DeviceName string
	// Key is what readings are kept under; "" means the header of the values where Columns names it,
	// else "value".
	Key string
	// Source names what recorded the rows, of a-z, 0-9, ".", "_" and "-". "" means "gpx" or
	// "recording" for trips, "telemetry", "telescope-schedule", "fitbit", "inventory".
	Source string
	// Columns names the header that holds a value, by the value's name: {"latitude": "Breite"}.
	Columns map[string]string
	// TimeZone is where times without an offset were written down, an IANA name; "" means UTC.
	TimeZone string
	// Start is when a GPX track without any time began.
	Start time.Time
	// Date is the day in the time zone, YYYY-MM-DD, of water logs that tell none; "" means today.
	Date string
	// Site and Telescope are where observations were made; schedules do not say.
	Site, Telescope string
	// Secrets is given the secrets of devices that are made, told this once; nil for none.
	Secrets func(device recordings.Device, id, secret string) error
	// Progress is told how far the reading is; nil for none.
	Progress Progress
}

// settled is options that files of the kind can be read by.
type settled struct {
	Options
	kind Kind
	read recordings.Options // for the readers
	day  time.Time          // of water logs that tell none
}

func settle(kind Kind, o Options) (settled, error) {
	s := settled{Options: o, kind: kind}
	if err := checkKind(kind); err != nil {
		return s, err
	}
	if needed := kind == KindTrips || kind == KindHydration; needed && o.Account == "" {
		return s, errs.Invalid("account", "say whose the %s are", kind)
	}
	if len(o.Source) > maxSource || strings.Trim(o.Source, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		return s, errs.Invalid("source", "must be at most %d of a-z, 0-9, \".\", \"_\" and \"-\"", maxSource)
	}
	zone, err := time.LoadLocation(o.TimeZone)
	if err != nil || o.TimeZone == "Local" {
		return s, errs.Invalid("timeZone", "%.80q is no time zone such as Europe/London", o.TimeZone)
	}
	s.day = midnight(clock.System{}.Now().In(zone))
	if o.Date != "" {
		if s.day, err = time.ParseInLocation(time.DateOnly, o.Date, zone); err != nil {
			return s, errs.Invalid("date", "%.80q is no date such as 2006-01-02", o.Date)
		}
	}
	s.read = recordings.Options{Columns: o.Columns, Location: zone, Start: o.Start}
	if s.Key == "" {
		s.Key = "value"
		if header := o.Columns["value"]; header != "" {
			s.Key = header
		}
	}
	return s, nil
}

const maxSource = 100 // bytes, as activities have it

func midnight(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location())
}

// source is Options.Source, or else the usual one.
func (s settled) source(usual string) string {
	if s.Source != "" {
		return s.Source
	}
	return usual
}

// findAccount gives the id of the account that the rows are of; "" when they are everybody's.
func (s settled) findAccount(ctx context.Context, services Services) (string, error) {
	if s.Account == "" {
		return "", nil
	}
	if identity, ok := demoIdentity(s.Account); ok {
		id, err := services.Accounts.EnsureAccount(ctx, identity)
		if err != nil {
			return "", fmt.Errorf("find the account of %s: %w", s.Account, err)
		}
		return id, nil
	}
	if err := ids.Check(ids.Account, s.Account); err != nil {
		return "", errs.Invalid("account", "%v, nor is it one of the demo identities admin, operator, alice and bob", err)
	}
	there, err := services.Accounts.HasAccount(ctx, s.Account)
	if err != nil {
		return "", fmt.Errorf("look for the account: %w", err)
	}
	if !there {
		return "", errs.Missing("account", s.Account)
	}
	return s.Account, nil
}

// demoIdentity is the identity that a demo lets in by the code.
func demoIdentity(code string) (Identity, bool) {
	i := Identity{Provider: "DEMO", Subject: code, Role: caller.Member}
	switch code {
	case "admin":
		i.Name, i.Role = "Admin", caller.Admin
	case "operator":
		i.Name, i.Role = "Operator", caller.Operator
	case "alice":
		i.Name = "Alice"
	case "bob":
		i.Name = "Bob"
	default:
		return Identity{}, false
	}
	return i, true
}

// isDevice tells whether Options.Device is the id of a device, not its key in the source.
func (s settled) isDevice() bool { return ids.Check(ids.Device, s.Device) == nil }

func (s settled) checkDevice(ctx context.Context, services Services) error {
	if !s.isDevice() {
		return nil
	}
	kind, err := services.Devices.KindOf(ctx, s.Device)
	switch {
	case err != nil:
		return fmt.Errorf("look for the device: %w", err)
	case kind == "":
		return errs.Missing("device", s.Device)
	case s.kind == KindTrips && kind != recordings.KindVehicle:
		return errs.Invalid("device", "%q is a %s, and trips are made in vehicles", s.Device, kind)
	}
	return nil
}

// unnamed is the key of the device of rows that name none.
func (in *intake) unnamed() string {
	if in.Device != "" {
		return in.Device
	}
	base := path.Base(filepath.ToSlash(in.file.Name))
	if stem := strings.TrimSuffix(base, path.Ext(base)); stem != "" {
		return stem
	}
	return base
}
