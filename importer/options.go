package importer

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // time zones, for machines without a database of them

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/recordings"
)

// Options supplement values that files may lack. The zero Options are for a complete file of public rows.
type Options struct {
	// Account is the owner of the rows: an account id, or the code of a demo identity ("alice"). Trips and water
	// require one; observations without one are public.
	Account string
	// Device is the vehicle or the sensor of rows without one: its key in the source, which is also its name, or a
	// device id. "" selects the name of the file without its extension.
	Device string
	// DeviceName is the display name of devices in rows; {key} is replaced by their key, as in
	// "Bus {key}". "" selects {key}.
	DeviceName string
	// Key is the telemetry key of readings. "" selects the header of the values where Columns names it,
	// otherwise "value".
	Key string
	// Source is the recorder, of a-z, 0-9, ".", "_" and "-". "" selects "gpx" or "recording" for trips, "telemetry",
	// "telescope-schedule", "fitbit" or "inventory".
	Source string
	// Columns maps the name of a value to its header: {"latitude": "Breite"}.
	Columns map[string]string
	// TimeZone is the IANA time zone of times without an offset; "" is UTC.
	TimeZone string
	// Start is the start of a GPX track without any time.
	Start time.Time
	// Date is the day in the time zone, YYYY-MM-DD, of water logs without one; "" is today.
	Date string
	// DateOrder is the order of dates such as 02/01/2026, DMY or MDY. Without it such dates are errors.
	DateOrder string
	// WaterUnit is the unit of water logs: ml, floz or cup; "" is ml.
	WaterUnit string
	// Site and Telescope are those of observations; schedules do not contain them.
	Site, Telescope string
	// Secrets receives the secret of each new device, only once; nil creates none.
	Secrets func(device recordings.Device, id, secret string) error
	// Progress receives the bytes that were read; nil for none.
	Progress Progress
}

// settled are validated options for files of one kind.
type settled struct {
	Options
	kind Kind
	read recordings.Options // for the readers
	day  time.Time          // of water logs without one
}

func settle(kind Kind, o Options) (settled, error) {
	s := settled{Options: o, kind: kind}
	if err := checkKind(kind); err != nil {
		return s, err
	}
	if needed := kind == KindTrips || kind == KindHydration; needed && o.Account == "" {
		return s, errs.Invalid("account", "name the owner of the %s", kind)
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
	if !slices.Contains([]string{"", string(recordings.DayMonthYear), string(recordings.MonthDayYear)}, o.DateOrder) {
		return s, errs.Invalid("dateOrder", "%.80q is neither DMY nor MDY", o.DateOrder)
	}
	if !slices.Contains([]string{"", "ml", "floz", "cup"}, o.WaterUnit) {
		return s, errs.Invalid("waterUnit", "%.80q is none of ml, floz and cup", o.WaterUnit)
	}
	s.read = recordings.Options{
		Columns: o.Columns, Location: zone, Start: o.Start, Now: clock.System{}.Now(),
		DateOrder: recordings.DateOrder(o.DateOrder), WaterUnit: recordings.WaterUnit(o.WaterUnit),
	}
	if s.Key == "" {
		s.Key = "value"
		if header := o.Columns["value"]; header != "" {
			s.Key = header
		}
	}
	return s, nil
}

const maxSource = 100 // bytes, as in the activity service

func midnight(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location())
}

func (s settled) source(usual string) string {
	if s.Source != "" {
		return s.Source
	}
	return usual
}

// findAccount returns the id of the owner of the rows; "" for public rows.
func (s settled) findAccount(ctx context.Context, services Services) (string, error) {
	if s.Account == "" {
		return "", nil
	}
	if identity, ok := demoIdentity(s.Account); ok {
		if !services.Demo {
			return "", errs.Invalid("account", "%s is an identity of the demo, and this data folder is not the demo's: name an account by its id", s.Account)
		}
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

// isDevice reports whether Options.Device is the id of a device, and not its key in the source.
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
