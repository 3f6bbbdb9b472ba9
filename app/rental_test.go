package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/maintenance"
	"github.com/sluicehq/sluice/services/device/registry"
	devicerpc "github.com/sluicehq/sluice/services/device/rpc"
	devicestore "github.com/sluicehq/sluice/services/device/store"
	"github.com/sluicehq/sluice/services/trip"
	tripclients "github.com/sluicehq/sluice/services/trip/clients"
	triprpc "github.com/sluicehq/sluice/services/trip/rpc"
	tripstore "github.com/sluicehq/sluice/services/trip/store"
)

// How many schedules are tried, and how long each is.
const (
	schedules      = 50
	schedulesShort = 12
	scheduleSteps  = 200
)

// Whatever is lost, late, doubled, cancelled or restarted, and in whatever order: commands, locks and
// trips go through allowed states only, and end. SLUICE_TEST_SEED replays one schedule.
func TestCommandsLocksAndTripsUnderEverySchedule(t *testing.T) {
	t.Parallel()
	seeds := schedules
	if testing.Short() {
		seeds = schedulesShort
	}
	first := uint64(1)
	if seed := os.Getenv("SLUICE_TEST_SEED"); seed != "" {
		var err error
		if first, err = strconv.ParseUint(seed, 10, 64); err != nil {
			t.Fatal(err)
		}
		seeds = 1
	}
	seen := map[string]int{}
	for seed := first; seed < first+uint64(seeds); seed++ {
		r := newRental(t, seed)
		for range scheduleSteps {
			r.step()
			r.check()
		}
		r.settle()
		r.count(seen)
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, strings.Join(r.trace, "\n"))
		}
	}
	t.Log(seen)
	if seeds < schedules {
		return
	}
	for _, state := range []string{
		"command SUCCEEDED", "command FAILED", "command TIMED_OUT", "command CANCELLED", "trip FINISHED", "trip FAILED",
		"event LOCK_FAILED", "event LOCK_DOUBTED", "event COMMAND_LATE", "event LOCK_CHANGED", "failure ENDED_WHILE_UNLOCKING", "failure UNLOCK_TIMED_OUT",
	} {
		if seen[state] == 0 {
			t.Errorf("no schedule came to %s: %v", state, seen)
		}
	}
}

// rental is vehicles, and the two services that rent them, on a network that anything can happen to.
type rental struct {
	t     *testing.T
	ctx   context.Context
	dice  *rand.Rand
	trace []string
	quiet bool // nothing goes wrong any more

	clock    *clock.Manual
	deviceDB *sqldb.DB
	tripDB   *sqldb.DB
	kept     *devicestore.Store
	devices  *assembly.Service
	trips    *trip.Service
	runner   *maintenance.Reconciler
	tasks    *trip.TaskRunner

	accounts []string
	vehicles []*vehicle
	late     []func() // calls that have yet to arrive
	reports  bool     // vehicles tell how their locks stand; if not, no answer of theirs is lost
	events   [][]byte // of commands, on their way to the trip service
	told     int64    // the last event of the outbox that is among them

	commands map[string]command.Status // as they were at the last check
	locks    map[string]device.LockState
	journeys map[string]trip.Trip
}

// vehicle is a well-behaved vehicle: it does a command once, and not after its deadline.
type vehicle struct {
	id     string
	open   bool
	done   map[string]string // the answers by command
	inbox  [][]byte
	outbox []device.UpMessage
}

func newRental(t *testing.T, seed uint64) *rental {
	t.Helper()
	r := &rental{
		t: t, ctx: caller.NewContext(t.Context(), caller.OfSystem()), dice: rand.New(rand.NewPCG(seed, 1)), reports: seed%2 == 0,
		clock:    clock.NewManual(time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)),
		deviceDB: sqltest.OpenSQLite(t, devicestore.Migrations()), tripDB: sqltest.OpenSQLite(t, tripstore.Migrations()),
		commands: map[string]command.Status{}, locks: map[string]device.LockState{}, journeys: map[string]trip.Trip{},
	}
	r.kept = devicestore.New(r.deviceDB, devicerpc.Encoding())
	r.restartDevices()
	r.restartTrips()
	for range 2 {
		made, err := r.devices.Registry.Register(r.ctx, registry.RegisterInput{Name: "car", Kind: device.Vehicle})
		r.must(err)
		r.vehicles = append(r.vehicles, &vehicle{id: made.Device.ID, done: map[string]string{}})
		r.accounts = append(r.accounts, ids.New(ids.Account))
	}
	r.check()
	return r
}

func (r *rental) restartDevices() {
	r.devices = assembly.New(r.kept, r.clock, assembly.Options{Downlink: r})
	r.runner = r.devices.Reconciler
}

func (r *rental) restartTrips() {
	options := rpc.Options{Logger: slog.New(slog.DiscardHandler), Tracing: obs.NoTracing()}
	channel := rpc.NewChannel(options, func(s grpc.ServiceRegistrar) { devicerpc.Register(s, r.devices) })
	vehicles := flaky{Vehicles: tripclients.NewVehicles(rpc.Within(channel, options)), rental: r}
	tariff := trip.Tariff{Currency: "EUR", StartFeeMinor: 100, PerKilometreMinor: 25, PerMinuteMinor: 30}
	r.trips = trip.New(tripstore.New(r.tripDB, triprpc.EncodeTrip), vehicles, r.clock, tariff, trip.SpeedLimits{})
	r.tasks = trip.NewTaskRunner(r.trips)
}

// flaky is the way to the device service: a call may not arrive, and its answer may not come back.
type flaky struct {
	trip.Vehicles
	rental *rental
}

var errLost = errs.New(errs.Unavailable, errs.ReasonServiceDown, "lost")

func (f flaky) Unlock(ctx context.Context, vehicleID, tripID string, deadline time.Time) (trip.Opening, error) {
	if f.rental.happens(15) {
		return trip.Opening{}, errLost
	}
	if f.rental.happens(15) { // it arrives when nobody waits for it any more
		f.rental.late = append(f.rental.late, func() { _, _ = f.Vehicles.Unlock(ctx, vehicleID, tripID, deadline) })
		return trip.Opening{}, errLost
	}
	opening, err := f.Vehicles.Unlock(ctx, vehicleID, tripID, deadline)
	if f.rental.happens(15) {
		return trip.Opening{}, errLost
	}
	return opening, err
}

func (f flaky) Lock(ctx context.Context, vehicleID, tripID string) error {
	if f.rental.happens(15) {
		return errLost
	}
	err := f.Vehicles.Lock(ctx, vehicleID, tripID)
	if f.rental.happens(15) {
		return errLost
	}
	return err
}

func (f flaky) PutRide(ctx context.Context, ride trip.VehicleRide) (string, error) {
	if f.rental.happens(5) {
		return "", errLost
	}
	if f.rental.happens(5) {
		f.rental.late = append(f.rental.late, func() { _, _ = f.Vehicles.PutRide(ctx, ride) })
		return "", errLost
	}
	other, err := f.Vehicles.PutRide(ctx, ride)
	if f.rental.happens(5) {
		return "", errLost
	}
	return other, err
}

// Deliver is the downlink: a message may be refused (or the process may die before it), lost, doubled and overtaken.
func (r *rental) Deliver(_ context.Context, m device.DownMessage) error {
	if r.happens(10) {
		return errors.New("the broker is away")
	}
	v := r.vehicle(m.DeviceID)
	for copies := r.copies(); copies > 0; copies-- {
		v.inbox = append(v.inbox, m.Payload)
	}
	return nil
}

// Route is the downlink: there is one process.
func (r *rental) Route(context.Context, string) (bool, error) { return true, nil }

func (r *rental) vehicle(id string) *vehicle {
	return r.vehicles[slices.IndexFunc(r.vehicles, func(v *vehicle) bool { return v.id == id })]
}

// happens tells whether something goes wrong that does in so many of a hundred cases.
func (r *rental) happens(percent int) bool { return !r.quiet && r.dice.IntN(100) < percent }

func (r *rental) copies() int {
	switch {
	case r.happens(15):
		return 0
	case r.happens(15):
		return 2
	}
	return 1
}

func (r *rental) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rental) say(format string, args ...any) {
	r.trace = append(r.trace, r.clock.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// step does one of all things that can happen next.
func (r *rental) step() {
	v, account := r.vehicles[r.dice.IntN(2)], r.accounts[r.dice.IntN(2)]
	switch r.dice.IntN(20) {
	case 0, 1:
		r.clock.Advance(time.Duration(1+r.dice.IntN(3_000)) * time.Millisecond)
	case 2:
		r.clock.Advance(time.Duration(r.dice.IntN(20_000)) * time.Millisecond)
	case 3, 4:
		r.start(account, v)
	case 5, 6:
		r.end(account)
	case 7, 8, 9:
		r.receive(v)
	case 10, 11, 12, 13, 14:
		for range 1 + r.dice.IntN(3) {
			r.hear(v)
			r.check()
		}
	case 15:
		r.tellTrips()
	case 16:
		r.look()
	case 17:
		r.staff(v)
	case 18:
		r.connect(v)
		r.arriveLate()
	case 19:
		r.restart()
	}
}

func (r *rental) as(account string) context.Context {
	return caller.NewContext(r.t.Context(), caller.Caller{AccountID: account, Role: caller.Member, Scopes: caller.ScopesOf(caller.Member)})
}

func (r *rental) start(account string, v *vehicle) {
	got, err := r.trips.Start(r.as(account), trip.StartInput{VehicleID: v.id, Position: trip.Position{Latitude: 48, Longitude: 11}})
	r.say("start on %s: %s %s %v", v.id, got.ID, got.Status, err)
	if !errors.Is(err, errLost) {
		r.mayRefuse(err)
	}
}

func (r *rental) end(account string) {
	for _, id := range slices.Sorted(maps.Keys(r.journeys)) {
		t := r.journeys[id]
		if t.AccountID == account && t.Status.Open() && (t.Status == trip.InProgress || !r.happens(85)) {
			got, err := r.trips.End(r.as(account), trip.EndInput{TripID: t.ID})
			r.say("end %s: %s %v", t.ID, got.Status, err)
			r.mayRefuse(err)
			return
		}
	}
}

// mayRefuse lets refusals pass, and nothing else.
func (r *rental) mayRefuse(err error) {
	r.t.Helper()
	if err != nil && errs.From(err).Code != errs.FailedPrecondition {
		r.t.Errorf("not a refusal: %v", err)
	}
}

// receive has a vehicle get one of the messages on their way.
func (r *rental) receive(v *vehicle) {
	if len(v.inbox) == 0 {
		return
	}
	i := r.dice.IntN(len(v.inbox))
	var c struct {
		ID, Name string
		Deadline time.Time
	}
	r.must(json.Unmarshal(v.inbox[i], &c))
	v.inbox = slices.Delete(v.inbox, i, i+1)
	answer, known := v.done[c.ID]
	switch {
	case !known && !r.clock.Now().Before(c.Deadline):
		r.say("%s leaves %s %s alone", v.id, c.Name, c.ID)
		return
	case !known && r.happens(15):
		r.say("%s dies over %s %s", v.id, c.Name, c.ID)
		return
	case !known && r.happens(15):
		answer = fmt.Sprintf(`{"id":%q,"ok":false,"error":"stuck"}`, c.ID)
	case !known:
		answer = fmt.Sprintf(`{"id":%q,"ok":true}`, c.ID)
		if c.Name == "unlock" || c.Name == "lock" {
			v.open = c.Name == "unlock"
		}
	}
	v.done[c.ID] = answer
	r.say("%s takes %s %s: %s", v.id, c.Name, c.ID, answer)
	r.answer(v, device.UpCommandAck, fmt.Sprintf(`{"id":%q}`, c.ID))
	r.answer(v, device.UpCommandLog, fmt.Sprintf(`{"id":%q,"text":"doing it"}`, c.ID))
	r.answer(v, device.UpCommandResult, answer)
}

func (r *rental) answer(v *vehicle, topic device.UpTopic, payload string) {
	copies := r.copies()
	if !r.reports {
		copies = max(copies, 1)
	}
	for ; copies > 0; copies-- {
		v.outbox = append(v.outbox, device.UpMessage{DeviceID: v.id, Topic: topic, Payload: []byte(payload), ArrivedAt: r.clock.Now()})
	}
}

// hear has the device service get one of the messages on their way.
func (r *rental) hear(v *vehicle) {
	if len(v.outbox) == 0 {
		return
	}
	i := r.dice.IntN(len(v.outbox))
	m := v.outbox[i]
	v.outbox = slices.Delete(v.outbox, i, i+1)
	r.say("heard of %s: %s %s", v.id, m.Topic, m.Payload)
	r.must(r.devices.Uplink.Handle(r.t.Context(), m))
}

// tellTrips has the trip service get one of the events, which may come again.
func (r *rental) tellTrips() {
	pending, err := r.deviceDB.PendingEvents(r.t.Context(), 10_000)
	r.must(err)
	for _, e := range pending {
		if e.Sequence > r.told && strings.HasPrefix(e.Subject, "event.command.") {
			r.events = append(r.events, e.Data)
		}
		r.told = max(r.told, e.Sequence)
	}
	if len(r.events) == 0 {
		return
	}
	i := r.dice.IntN(len(r.events))
	opening, ok, err := tripclients.DecodeOpening(r.events[i])
	r.must(err)
	if ok && opening.Done && strings.HasPrefix(opening.TripID, "trip_") {
		got, err := r.trips.ApplyOpening(r.t.Context(), opening)
		r.say("trips hear %+v: %s %v", opening, got.Status, err)
		r.must(err)
	}
	if !r.happens(20) {
		r.events = slices.Delete(r.events, i, i+1)
	}
}

// look has somebody look for what is due.
func (r *rental) look() {
	r.say("what is due is looked for")
	if r.happens(50) {
		_ = r.runner.RunDue(r.ctx) // what fails is done again
		return
	}
	_ = r.tasks.RunDue(r.ctx)
}

func (r *rental) staff(v *vehicle) {
	operator := caller.NewContext(r.t.Context(), caller.Caller{AccountID: "account_o", Role: caller.Operator, Scopes: caller.ScopesOf(caller.Operator)})
	if r.happens(50) {
		name := []string{"blink", "blink", "lock"}[r.dice.IntN(3)]
		in := command.SendInput{DeviceID: v.id, Name: name}
		if r.happens(50) {
			until := r.clock.Now().Add(time.Minute)
			in.QueueUntil = &until
		}
		c, err := r.devices.Commands.Send(operator, in)
		r.say("staff sends %s %s: %s %v", name, c.ID, c.Status, err)
		r.mayRefuse(err)
		return
	}
	for _, id := range slices.Sorted(maps.Keys(r.commands)) {
		if r.commands[id].Open() {
			c, err := r.devices.Commands.Cancel(operator, id)
			r.say("staff cancels %s: %s %v", id, c.Status, err)
			r.mayRefuse(err)
			return
		}
	}
}

// connect has a vehicle come or go. One that comes tells how its lock stands.
func (r *rental) connect(v *vehicle) {
	presence := []device.Presence{device.Online, device.Online, device.Offline, device.Unknown}[r.dice.IntN(4)]
	if r.quiet {
		presence = device.Online
	}
	r.say("%s is %s", v.id, presence)
	r.must(r.deviceDB.Write(r.t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(r.t.Context(), `UPDATE devices SET presence = $1 WHERE id = $2`, string(presence), v.id)
		return err
	}))
	if presence != device.Online {
		return
	}
	r.reportLock(v)
	if err := r.devices.Uplink.Welcome(r.t.Context(), v.id); err != nil && r.quiet {
		r.t.Error(err)
	}
}

func (r *rental) reportLock(v *vehicle) {
	if !r.reports {
		return
	}
	state := device.Locked
	if v.open {
		state = device.Unlocked
	}
	r.answer(v, device.UpState, fmt.Sprintf(`{"lockState":%q}`, state))
}

// arriveLate lets a call arrive that was given up for lost.
func (r *rental) arriveLate() {
	if len(r.late) == 0 {
		return
	}
	r.check()
	r.say("a call arrives late")
	r.late[0]()
	r.late = r.late[1:]
}

func (r *rental) restart() {
	r.say("restart")
	r.restartDevices()
	r.restartTrips()
}

// check holds all rows against what they were, and against each other.
func (r *rental) check() {
	r.t.Helper()
	r.checkCommands()
	r.checkLocks()
	r.checkTrips()
}

func (r *rental) checkCommands() {
	r.t.Helper()
	allowed := map[command.Status][]command.Status{
		"":                   {command.Queued, command.Sent, command.Failed, command.Cancelled},
		command.Queued:       {command.Sent, command.Failed, command.Cancelled},
		command.Sent:         {command.Acknowledged, command.Succeeded, command.Failed, command.TimedOut, command.Cancelled},
		command.Acknowledged: {command.Succeeded, command.Failed, command.TimedOut, command.Cancelled},
	}
	unlocks := map[string]string{}
	for _, c := range r.allCommands() {
		before := r.commands[c.ID]
		if c.Status != before && !slices.Contains(allowed[before], c.Status) {
			r.t.Errorf("command %s %s was %q, is %s", c.Name, c.ID, before, c.Status)
		}
		r.commands[c.ID] = c.Status
		if c.Status.Open() == (c.FinishedAt != nil) || c.Status.Open() != (c.DueAt != nil) {
			r.t.Errorf("command %+v", c)
		}
		if c.Name == "unlock" && c.Reference != "" {
			if other := unlocks[c.Reference]; other != "" {
				r.t.Errorf("%s and %s unlock for one trip", other, c.ID)
			}
			unlocks[c.Reference] = c.ID
		}
	}
}

func (r *rental) allCommands() []command.Command {
	var all []command.Command
	for _, v := range r.vehicles {
		pages, err := r.kept.ListCommands(r.t.Context(), []string{v.id}, page.Request{First: page.Max})
		r.must(err)
		all = append(all, pages[v.id].Items...)
	}
	return all
}

func (r *rental) lock(id string) device.Lock { return *r.stored(id).Lock }

func (r *rental) stored(id string) device.Device {
	found, err := r.kept.Get(r.t.Context(), []string{id})
	r.must(err)
	return found[0]
}

// openRide is the trip whose ride is open in the device service; "" for none.
func (r *rental) openRide(id string) string {
	if p := r.stored(id).Privacy; p != nil && p.Open != nil {
		return p.Open.ID
	}
	return ""
}

func (r *rental) checkLocks() {
	r.t.Helper()
	allowed := map[device.LockState][]device.LockState{
		"":               {device.Locked},
		device.Locked:    {device.Unlocking, device.Unlocked}, // the last when it says that it is open
		device.Unlocking: {device.Unlocked, device.Locked},
		device.Unlocked:  {device.Locking},
		device.Locking:   {device.Locked, device.Unlocked},
	}
	for _, v := range r.vehicles {
		l, before := r.lock(v.id), r.locks[v.id]
		if l.State != before && !slices.Contains(allowed[before], l.State) && !r.quick(before, l.State) {
			r.t.Errorf("the lock of %s was %q, is %s", v.id, before, l.State)
		}
		r.locks[v.id] = l.State
		moving := l.State == device.Unlocking || l.State == device.Locking
		if moving != (l.CommandID != "") || moving && !r.commands[l.CommandID].Open() {
			r.t.Errorf("the lock of %s is %+v, its command %s", v.id, l, r.commands[l.CommandID])
		}
	}
}

// quick tells of two moves that one step makes.
func (r *rental) quick(from, to device.LockState) bool {
	return from == device.Locked && to == device.Locking || // it says it is open, and is locked
		from == device.Unlocking && to == device.Locking || from == device.Locking && to == device.Locking
}

func (r *rental) allTrips() []trip.Trip {
	found, err := r.trips.List(r.ctx, trip.Filter{}, page.Request{First: page.Max})
	r.must(err)
	return found.Items
}

func (r *rental) checkTrips() {
	r.t.Helper()
	allowed := map[trip.Status][]trip.Status{
		"":              {trip.Unlocking, trip.InProgress, trip.Failed},
		trip.Unlocking:  {trip.InProgress, trip.Failed},
		trip.InProgress: {trip.Finished},
	}
	for _, t := range r.allTrips() {
		before := r.journeys[t.ID]
		if t.Status != before.Status && !slices.Contains(allowed[before.Status], t.Status) {
			r.t.Errorf("trip %s was %q, is %s", t.ID, before.Status, t.Status)
		}
		r.journeys[t.ID] = t
		if (t.Status == trip.Unlocking || t.Status == trip.Failed) && (t.Fee.AmountMinor != 0 || t.DurationSeconds != 0) {
			r.t.Errorf("trip %s is %s and costs %+v", t.ID, t.Status, t.Fee)
		}
		if ride := r.openRide(t.VehicleID); t.Status.Open() && ride != t.ID {
			r.t.Errorf("trip %s is open while the ride of its vehicle is %q", t.ID, ride)
		}
		if l := r.lock(t.VehicleID); t.Status == trip.InProgress && (l.State != device.Unlocked || l.Reference != t.ID || l.LockRequested) {
			r.t.Errorf("trip %s is in progress on a vehicle whose lock is %+v", t.ID, l)
		}
		if t.Status == trip.InProgress && !r.vehicle(t.VehicleID).open {
			r.t.Errorf("trip %s is in progress on a vehicle that is closed", t.ID)
		}
	}
}

// settle lets everything come to its end while nothing goes wrong any more: trips in progress are ended.
func (r *rental) settle() {
	r.t.Helper()
	r.quiet = true
	r.say("quiet")
	for len(r.late) > 0 {
		r.arriveLate()
	}
	for range 12 {
		for _, account := range r.accounts {
			r.end(account)
		}
		for _, v := range r.vehicles {
			r.connect(v)
			r.check()
			r.drain(v)
		}
		r.must(r.runner.RunDue(r.ctx))
		r.check()
		r.must(r.tasks.RunDue(r.ctx))
		r.check()
		for r.tellTrips(); len(r.events) > 0; {
			r.tellTrips()
		}
		r.check()
		r.clock.Advance(time.Minute)
	}
	for _, c := range r.allCommands() {
		if c.Status.Open() {
			r.t.Errorf("command %s %s is still %s", c.Name, c.ID, c.Status)
		}
	}
	for _, t := range r.allTrips() {
		if t.Status.Open() || t.Task != trip.NoTask {
			r.t.Errorf("trip %s is still %s, with the vehicle task %q", t.ID, t.Status, t.Task)
		}
	}
	for _, v := range r.vehicles {
		if l := r.lock(v.id); l != (device.Lock{State: device.Locked}) || v.open {
			r.t.Errorf("vehicle %s is open: %v, and its lock %+v", v.id, v.open, l)
		}
	}
	r.settleRides()
}

// settleRides starts a trip on each vehicle. A ride that was opened by a call that arrived after the start had failed
// does not prevent it.
func (r *rental) settleRides() {
	r.t.Helper()
	for i, v := range r.vehicles {
		orphan := r.openRide(v.id)
		if orphan != "" && r.journeys[orphan].ID != "" {
			r.t.Errorf("the ride of trip %s is still open", orphan)
		}
		got, err := r.trips.Start(r.as(r.accounts[i]), trip.StartInput{VehicleID: v.id, Position: trip.Position{Latitude: 48, Longitude: 11}})
		if err != nil || r.openRide(v.id) != got.ID {
			r.t.Errorf("the start on %s is %+v, %v; the open ride was %q, and is %q", v.id, got, err, orphan, r.openRide(v.id))
		}
	}
}

// drain lets all messages of a vehicle arrive.
func (r *rental) drain(v *vehicle) {
	for len(v.inbox)+len(v.outbox) > 0 {
		r.receive(v)
		r.hear(v)
		r.check()
	}
}

// count counts what the schedule has come to.
func (r *rental) count(seen map[string]int) {
	for _, c := range r.allCommands() {
		seen["command "+string(c.Status)]++
	}
	for _, t := range r.allTrips() {
		seen["trip "+string(t.Status)]++
		seen["failure "+t.Failure]++
	}
	for _, v := range r.vehicles {
		pages, err := r.kept.Events(r.t.Context(), []string{v.id}, page.Request{First: page.Max})
		r.must(err)
		for _, e := range pages[v.id].Items {
			seen["event "+string(e.Type)]++
		}
	}
}
