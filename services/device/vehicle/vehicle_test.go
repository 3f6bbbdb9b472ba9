package vehicle_test

import (
	"context"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/devicetest"
)

// garage is a station with a vehicle.
type garage struct {
	*devicetest.Station
	t   *testing.T
	car string
}

func openGarage(t *testing.T) *garage {
	t.Helper()
	s := devicetest.Open(t)
	return &garage{Station: s, t: t, car: s.Register(t, device.Vehicle).ID}
}

// unlock asks for the car to open for the reference, within 30 s.
func (g *garage) unlock(reference string) command.Command {
	g.t.Helper()
	c, err := g.Vehicles.Unlock(system(g.t), g.car, reference, g.Clock.Now().Add(30*time.Second))
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

func (g *garage) release(reference string) {
	g.t.Helper()
	if err := g.Vehicles.Lock(system(g.t), g.car, reference); err != nil {
		g.t.Fatal(err)
	}
}

func (g *garage) answers(id string, ok bool) {
	g.t.Helper()
	g.Hear(g.t, g.car, device.UpCommandResult, `{"id":%q,"ok":%t}`, id, ok)
}

// only gives the one command that the car was sent since the last time.
func (g *garage) only(name string) string {
	g.t.Helper()
	sent := g.Radio.Take()
	if len(sent) != 1 || sent[0].Name != name {
		g.t.Fatalf("the car was told %+v, want one %s", sent, name)
	}
	return sent[0].ID
}

func (g *garage) is(want device.LockState) {
	g.t.Helper()
	found, err := g.Store.Get(g.t.Context(), []string{g.car})
	if err != nil || found[0].Lock.State != want {
		g.t.Fatalf("the lock is %+v, %v; want %s", found[0].Lock, err, want)
	}
}

func system(t *testing.T) context.Context { return devicetest.As(t, caller.System) }

func TestALockGoesRound(t *testing.T) {
	t.Parallel()
	g := openGarage(t)
	c := g.unlock("trip_1")
	g.is(device.Unlocking)
	if again := g.unlock("trip_1"); again.ID != c.ID {
		t.Errorf("asked again it is %s, was %s", again.ID, c.ID)
	}
	g.answers(g.only("unlock"), true)
	g.is(device.Unlocked)
	if _, err := g.Commands.Send(devicetest.As(t, caller.Operator), command.SendInput{DeviceID: g.car, Name: "lock"}); errs.From(err).Reason != device.ReasonLockHeld {
		t.Errorf("staff locks a car on a trip: %v", err)
	}
	g.release("trip_2")
	g.is(device.Unlocked) // it is not theirs
	g.release("trip_1")
	g.is(device.Locking)
	g.release("trip_1")
	g.answers(g.only("lock"), true)
	g.is(device.Locked)
	if noted := g.Noted(t, g.car); noted != "LOCK_CHANGED LOCK_CHANGED LOCK_CHANGED LOCK_CHANGED LOCK_CHANGED" {
		t.Errorf("noted %s", noted)
	}
}

func TestALockIsTriedUntilItHolds(t *testing.T) {
	t.Parallel()
	g := openGarage(t)
	g.unlock("trip_1")
	g.answers(g.only("unlock"), true)
	g.release("trip_1")
	g.answers(g.only("lock"), false)
	g.is(device.Unlocked)
	g.RunDue(t)
	if sent := g.Radio.Take(); len(sent) != 0 {
		t.Errorf("tried at once again: %v", sent)
	}
	g.Clock.Advance(5 * time.Second)
	g.RunDue(t)
	g.only("lock") // and never answered
	g.Clock.Advance(30 * time.Second)
	g.RunDue(t)
	g.is(device.Unlocked)
	if _, err := g.Vehicles.Unlock(system(t), g.car, "trip_2", g.Clock.Now().Add(time.Minute)); errs.From(err).Reason != device.ReasonLockBusy {
		t.Errorf("a car that is not locked opens: %v", err)
	}
	g.Radio.Take()
	if err := g.Uplink.Welcome(t.Context(), g.car); err != nil { // it is back
		t.Fatal(err)
	}
	g.answers(g.only("lock"), true)
	g.is(device.Locked)
	if noted := g.Noted(t, g.car); noted != "LOCK_CHANGED LOCK_CHANGED LOCK_CHANGED LOCK_FAILED LOCK_CHANGED LOCK_FAILED LOCK_CHANGED LOCK_CHANGED LOCK_CHANGED LOCK_CHANGED" {
		t.Errorf("noted %s", noted)
	}
}

// What the car says late, or of itself, is not lost on us.
func TestACarThatIsOpenIsLocked(t *testing.T) {
	t.Parallel()
	late := func(g *garage, c string) { g.answers(c, true) }
	itself := func(g *garage, _ string) { g.Hear(g.t, g.car, device.UpState, `{"lockState":"UNLOCKED","battery":7}`) }
	for name, says := range map[string]func(g *garage, c string){"late": late, "itself": itself} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := openGarage(t)
			g.unlock("trip_1")
			c := g.only("unlock")
			g.Clock.Advance(30 * time.Second)
			g.RunDue(t)
			g.is(device.Locked)
			g.Radio.Take()
			says(g, c)
			g.is(device.Unlocked)
			g.RunDue(t)
			g.is(device.Locking)
			g.answers(g.only("lock"), true)
			g.is(device.Locked)
		})
	}
}

// The late answer of one trip comes while the car is to open for the next, which it then does not.
func TestALateAnswerIsNotTakenForAnother(t *testing.T) {
	t.Parallel()
	g := openGarage(t)
	g.unlock("trip_1")
	first := g.only("unlock")
	g.Clock.Advance(30 * time.Second)
	g.RunDue(t)
	g.Radio.Take()
	g.unlock("trip_2")
	second := g.only("unlock")
	g.answers(first, true)
	g.is(device.Unlocking)
	g.answers(second, false)
	g.is(device.Unlocked) // and known to be
	g.RunDue(t)
	g.answers(g.only("lock"), true)
	g.is(device.Locked)
}

// A rental may be longer than commands are kept.
func TestACarIsLockedWhoseUnlockIsForgotten(t *testing.T) {
	t.Parallel()
	g := openGarage(t)
	g.unlock("trip_1")
	g.answers(g.only("unlock"), true)
	g.Clock.Advance(time.Hour)
	if n, err := g.Store.ForgetCommands(t.Context(), g.Clock.Now(), 10); err != nil || n != 1 {
		t.Fatalf("%d commands went, %v", n, err)
	}
	g.release("trip_2") // which does not have it
	g.is(device.Unlocked)
	g.release("trip_1")
	g.answers(g.only("lock"), true)
	g.is(device.Locked)
}

func TestWhatIsGivenUpIsNotDone(t *testing.T) {
	t.Parallel()
	g := openGarage(t)
	g.release("trip_1") // before its unlock has come
	if c := g.unlock("trip_1"); c.Status != command.Cancelled || c.Reason != device.ReasonGivenUp {
		t.Errorf("it opens after all: %+v", c)
	}
	g.is(device.Locked)
	g.unlock("trip_2")
	g.release("trip_2") // while it opens
	g.is(device.Unlocking)
	g.answers(g.only("unlock"), true)
	g.RunDue(t)
	g.answers(g.only("lock"), true)
	g.is(device.Locked)
	if _, err := g.Vehicles.Unlock(system(t), g.car, "trip_3", g.Clock.Now()); errs.From(err).Reason != device.ReasonGivenUp {
		t.Errorf("past its deadline it opens: %v", err)
	}
}

func TestWhoMayOpenWhat(t *testing.T) {
	t.Parallel()
	g := openGarage(t)
	deadline := g.Clock.Now().Add(time.Minute)
	for role, want := range map[caller.Role]errs.Code{caller.Member: errs.PermissionDenied, caller.Admin: errs.PermissionDenied} {
		if _, err := g.Vehicles.Unlock(devicetest.As(t, role), g.car, "trip_1", deadline); errs.From(err).Code != want {
			t.Errorf("%s opens: %v", role, err)
		}
		if err := g.Vehicles.Lock(devicetest.As(t, role), g.car, "trip_1"); errs.From(err).Code != want {
			t.Errorf("%s locks: %v", role, err)
		}
	}
	none := g.Register(t, device.Gateway)
	if _, err := g.Vehicles.Unlock(system(t), none.ID, "trip_1", deadline); errs.From(err).Reason != device.ReasonNoLock {
		t.Errorf("a gateway opens: %v", err)
	}
	if _, err := g.Vehicles.Unlock(system(t), ids.New(ids.Device), "trip_1", deadline); errs.From(err).Code != errs.NotFound {
		t.Errorf("nothing opens: %v", err)
	}
	g.SetPresence(t, g.car, device.Offline)
	if c := g.unlock("trip_1"); c.Status != command.Failed || c.Reason != device.ReasonOffline {
		t.Errorf("a car that is away: %+v", c)
	}
	g.is(device.Locked)
}
