package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/presence"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/telemetry"
	"github.com/sluicehq/sluice/services/device/uplink"
)

// rider is an account with a ride on a vehicle.
type rider struct {
	t       *testing.T
	s       assembly.Store
	vehicle string
	account string
	ride    device.Ride
}

func newRider(t *testing.T, s assembly.Store, vehicleID, account string) *rider {
	return &rider{t: t, s: s, vehicle: vehicleID, account: account, ride: device.Ride{ID: ids.New(ids.Trip), VehicleID: vehicleID, AccountID: account}}
}

func (r *rider) put(now time.Time) (openID string) {
	r.t.Helper()
	openID, err := r.s.PutRide(r.t.Context(), r.ride, now)
	if err != nil {
		r.t.Fatal(err)
	}
	return openID
}

func (r *rider) start(at int) string {
	r.t.Helper()
	r.ride.StartedAt = minute(at)
	return r.put(minute(at))
}

func (r *rider) end(at int) string {
	r.t.Helper()
	end := minute(at)
	r.ride.EndedAt = &end
	return r.put(end)
}

func member(account string) caller.Caller {
	return caller.Caller{Role: caller.Member, AccountID: account}
}

// views are what alice, bob, a member without rides, and staff see.
func views(t *testing.T, s assembly.Store, id string, show func(device.Device) string) string {
	t.Helper()
	d := mustGet(t, s, id)
	staff := caller.Caller{Role: caller.Operator, AccountID: "operator"}
	return fmt.Sprint(show(d.SeenBy(member("alice"))), " ", show(d.SeenBy(member("bob"))), " ", show(d.Public()), " ", show(d.SeenBy(staff)))
}

func showBoard(d device.Device) string { return d.Board + d.Firmware }

func showPlace(d device.Device) string {
	if d.Position == nil {
		return "-"
	}
	return fmt.Sprint(d.Position.Latitude)
}

func showSeen(d device.Device) string {
	if d.LastSeenAt == nil {
		return "-"
	}
	return fmt.Sprint(d.LastSeenAt.Sub(dawn()).Minutes())
}

func showPresence(d device.Device) string { return string(d.Presence) }

func tell(t *testing.T, s assembly.Store, id, board string, arrived time.Time) {
	t.Helper()
	if err := s.Report(t.Context(), id, uplink.ReportedState{Board: board, Firmware: "f" + board}, arrived); err != nil {
		t.Fatal(err)
	}
}

func locate(t *testing.T, s assembly.Store, id string, latitude float64, at, arrived time.Time) {
	t.Helper()
	if err := s.Observe(t.Context(), id, []device.Position{{Latitude: latitude, At: &at}}, arrived); err != nil {
		t.Fatal(err)
	}
}

func notice(t *testing.T, s assembly.Store, id string, p presence.Presence, at time.Time) {
	t.Helper()
	err := s.(presence.Store).ChangePresence(t.Context(), []string{id}, at, func(string, presence.State) (presence.State, *time.Time) {
		return presence.State{Presence: p, Published: p, At: at}, &at
	})
	if err != nil {
		t.Fatal(err)
	}
}

func vehicle(t *testing.T, s assembly.Store) device.Device {
	t.Helper()
	d := named("v", 0)
	d.Kind = device.Vehicle
	create(t, s, d)
	return d
}

func ridesHide(t *testing.T, s assembly.Store) {
	ridesHidePresence(t, s) // first: it counts all devices
	ridesHideState(t, s)
	ridesHideReadings(t, s)
	ridesOnce(t, s)
}

// Each step says what alice, bob, other members and staff see.
func ridesHideState(t *testing.T, s assembly.Store) {
	d := vehicle(t, s)
	alice, bob := newRider(t, s, d.ID, "alice"), newRider(t, s, d.ID, "bob")
	send := func(n int) {
		t.Helper()
		tell(t, s, d.ID, fmt.Sprint(n), minute(n))
		locate(t, s, d.ID, float64(n), minute(n), minute(n))
		notice(t, s, d.ID, presence.Online, minute(n))
	}
	see := func(when string, wants ...string) {
		t.Helper()
		for i, show := range []func(device.Device) string{showBoard, showPlace, showSeen} {
			if got := views(t, s, d.ID, show); got != wants[i] {
				t.Errorf("%s: they see %s, want %s", when, got, wants[i])
			}
		}
	}
	send(1)
	alice.start(2)
	see("at the start", "1f1 1f1 1f1 1f1", "1 1 1 1", "1 1 1 1")
	send(3)
	see("during", "3f3 1f1 1f1 3f3", "3 1 1 3", "3 1 1 3")
	locate(t, s, d.ID, 0.5, minute(0), minute(4)) // sent before, arrives during the ride
	see("a late position", "3f3 1f1 1f1 3f3", "3 1 1 3", "3 1 1 3")
	alice.end(5)
	see("at the end", "3f3 1f1 1f1 3f3", "3 1 1 3", "3 1 1 3")
	locate(t, s, d.ID, 4, minute(4), minute(6)) // sent during, arrives after the ride
	see("a position of the ride that arrives after it", "3f3 1f1 1f1 3f3", "4 1 1 4", "3 1 1 3")
	tell(t, s, d.ID, "3", minute(4)) // the same again, which arrived during the ride but is stored after it
	see("a repeat of the ride", "3f3 1f1 1f1 3f3", "4 1 1 4", "3 1 1 3")
	tell(t, s, d.ID, "3", minute(6)) // the same, sent after it
	see("the same after the ride", "3f3 3f3 3f3 3f3", "4 1 1 4", "3 1 1 3")
	bob.start(7)
	send(8)
	see("during the next", "3f3 8f8 3f3 8f8", "1 8 1 8", "1 8 1 8")
	bob.end(9)
	send(10)
	see("after", "10f10 10f10 10f10 10f10", "10 10 10 10", "10 10 10 10")
}

// A ride that starts in the past hides what was sent since, and a time or an arrival in a ride hides a reading.
func ridesHideReadings(t *testing.T, s assembly.Store) {
	d := vehicle(t, s)
	alice, bob := newRider(t, s, d.ID, "alice"), newRider(t, s, d.ID, "bob")
	reading := func(value float64, at, arrived int) {
		t.Helper()
		_, _, err := s.RecordAll(t.Context(), []telemetry.Recording{{DeviceID: d.ID, ArrivedAt: minute(arrived), Readings: []telemetry.Reading{{Key: "k", At: minute(at), Value: value}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	tell(t, s, d.ID, "3", minute(3))
	alice.ride.StartedAt = minute(2)
	alice.put(minute(4))
	if got := views(t, s, d.ID, showBoard); got != "3f3   3f3" {
		t.Errorf("of a report after a start in the past they see %q", got)
	}
	alice.end(6)
	bob.start(8)
	bob.end(10)
	for i, times := range [][2]int{{1, 1}, {3, 3}, {5, 7}, {9, 9}, {1, 3}, {5, 9}, {11, 11}} { // by time and arrival
		reading(float64(i), times[0], times[1])
	}
	record(t, s, d.ID, telemetry.Reading{Key: "k", At: minute(5), Value: 7}) // imported
	wants := map[string]string{"alice": "[0 4 1 2 7 6]", "bob": "[0 3 6]", "": "[0 6]"}
	for _, rolled := range []bool{false, true} {
		for account, want := range wants {
			if rolled { // in steps of a minute, each has one value
				want = map[string]string{"alice": "[2 1 4.5 6]", "bob": "[0 3 6]", "": "[0 6]"}[account]
			}
			q := always(0, telemetry.Avg, "k")
			q.Viewer = &account
			if got := fmt.Sprint(valuesOf(query(t, s, q, d.ID)[0])); got != want {
				t.Errorf("rolled up %t: %q reads %s, want %s", rolled, account, got, want)
			}
			q.Step, q.Aggregate = time.Hour, telemetry.Count
			if got, want := valuesOf(query(t, s, q, d.ID)[0]), float64(map[string]int{"alice": 6, "bob": 3, "": 2}[account]); got[0] != want {
				t.Errorf("rolled up %t: %q counts %v, want %v", rolled, account, got, want)
			}
		}
		if _, err := s.Roll(t.Context(), d.ID, minute(100), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if all := query(t, s, always(time.Hour, telemetry.Count, "k"), d.ID); valuesOf(all[0])[0] != 8 {
		t.Errorf("staff count %v", valuesOf(all[0]))
	}
}

// Presences and counts by them stand still for members during a ride, and are current after it. Each audience receives
// only what it sees.
func ridesHidePresence(t *testing.T, s assembly.Store) {
	d := vehicle(t, s)
	notice(t, s, d.ID, presence.Online, minute(0))
	alice := newRider(t, s, d.ID, "alice")
	check := func(when, wantViews string, public registry.Counts) {
		t.Helper()
		if got := views(t, s, d.ID, showPresence); got != wantViews {
			t.Errorf("%s they see %s, want %s", when, got, wantViews)
		}
		if got, err := s.Count(t.Context(), registry.Filter{Public: true}); err != nil || got != public {
			t.Errorf("%s members count %+v, %v", when, got, err)
		}
		if got := list(t, s, registry.Filter{Public: true, Presences: []device.Presence{device.Online}}); int64(len(got)) != public.Online {
			t.Errorf("%s members find %d", when, len(got))
		}
	}
	alice.start(1)
	notice(t, s, d.ID, presence.Offline, minute(2))
	check("during", "OFFLINE ONLINE ONLINE OFFLINE", registry.Counts{Total: 1, Online: 1})
	alice.end(3)
	check("after", "OFFLINE OFFLINE OFFLINE OFFLINE", registry.Counts{Total: 1, Offline: 1})
}

// Starts, ends and cancellations may come twice, late and out of order; rides never overlap.
func ridesOnce(t *testing.T, s assembly.Store) {
	d := vehicle(t, s)
	alice, bob := newRider(t, s, d.ID, "alice"), newRider(t, s, d.ID, "bob")
	for range 2 {
		if other := alice.start(1); other != "" {
			t.Errorf("the start meets %s", other)
		}
	}
	if other := bob.start(2); other != alice.ride.ID {
		t.Errorf("the start of another meets %q", other)
	}
	for range 2 {
		alice.end(3)
	}
	late := *alice
	late.ride.EndedAt = nil
	late.put(minute(4))
	if p := mustGet(t, s, d.ID).Privacy; p.Open != nil {
		t.Errorf("a late start opened %+v", p.Open)
	}
	bob.start(5)
	bob.ride.Cancelled = true
	bob.put(minute(6))
	tell(t, s, d.ID, "5", minute(5))
	if got := views(t, s, d.ID, showBoard); got != "5f5 5f5 5f5 5f5" {
		t.Errorf("after a cancelled ride they see %s", got)
	}
	imported := newRider(t, s, d.ID, "bob") // from 0 to 10, around the ride of alice
	imported.ride.StartedAt = minute(0)
	for range 2 {
		imported.end(10)
	}
	for at, want := range map[int]string{0: "- 0 - 0", 2: "2 - - 2", 4: "- 4 - 4", 10: "10 10 10 10"} {
		one := vehicleCopy(t, s, alice, imported)
		locate(t, s, one, float64(at), minute(at), minute(at))
		if got := views(t, s, one, showPlace); got != want {
			t.Errorf("at %d they see %s, want %s", at, got, want)
		}
	}
	gone := newRider(t, s, ids.New(ids.Device), "alice")
	if _, err := s.PutRide(t.Context(), gone.ride, minute(0)); err == nil {
		t.Error("a ride without a vehicle is stored")
	}
}

// vehicleCopy returns another vehicle with the same rides.
func vehicleCopy(t *testing.T, s assembly.Store, riders ...*rider) string {
	t.Helper()
	d := vehicle(t, s)
	for _, r := range riders {
		again := *r
		again.t, again.ride.VehicleID, again.ride.ID = t, d.ID, ids.New(ids.Trip)
		again.put(minute(11))
	}
	return d.ID
}
