package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/command"
)

func newCommand(deviceID string, minutes int) command.Command {
	at := dawn().Add(time.Duration(minutes) * time.Minute)
	due := at.Add(time.Second)
	return command.Command{
		ID: ids.New(ids.Command), DeviceID: deviceID, Version: 1, Name: "reboot", Arguments: `{"in": 5}`, Status: command.Queued,
		Caller: "account_1", Timeout: 90 * time.Second, Deadline: at.Add(90 * time.Second), DueAt: &due, CreatedAt: at,
	}
}

func work(t *testing.T, s assembly.Store, about command.Target, decide func(command.State) (command.Changes, error)) command.Command {
	t.Helper()
	if about.Now.IsZero() {
		about.Now = dawn()
	}
	c, err := s.Decide(t.Context(), about, decide)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func createCommands(t *testing.T, s assembly.Store, commands ...command.Command) {
	t.Helper()
	for _, c := range commands {
		work(t, s, command.Target{DeviceID: c.DeviceID}, func(command.State) (command.Changes, error) {
			return command.Changes{Commands: []command.Command{c}}, nil
		})
	}
}

func getCommand(t *testing.T, s assembly.Store, id string) command.Command {
	t.Helper()
	found, err := s.GetCommands(t.Context(), []string{id, ids.New(ids.Command)}, nil)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	return found[0]
}

func commandReadsBack(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	want := newCommand(d.ID, 0)
	until := dawn().Add(time.Hour)
	want.QueueUntil, want.Reference = &until, "trip_1"
	createCommands(t, s, want)
	if got := getCommand(t, s, want.ID); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	at := func(seconds int) *time.Time { then := dawn().Add(time.Duration(seconds) * time.Second); return &then }
	want.Version, want.Status, want.DueAt, want.Sends, want.Deadline = 2, command.Failed, nil, 3, *at(500)
	want.SentAt, want.LastSentAt, want.AcknowledgedAt, want.FinishedAt = at(1), at(2), at(3), at(4)
	want.Result, want.Reason, want.Error, want.LogLines, want.LogBytes = `[1, "ü"]`, "COMMAND_FAILED", "it is\nstuck", 7, 99
	createCommands(t, s, want)
	if got := getCommand(t, s, want.ID); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	want.Status = command.Succeeded // its version is outdated
	_, err := s.Decide(t.Context(), command.Target{DeviceID: d.ID, Now: dawn()}, func(command.State) (command.Changes, error) {
		return command.Changes{Commands: []command.Command{want}}, nil
	})
	if err == nil || getCommand(t, s, want.ID).Status != command.Failed {
		t.Error("a change of what is gone was kept")
	}
}

func refusedWork(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	refusal := errs.New(errs.FailedPrecondition, command.ReasonOver, "no")
	_, err := s.Decide(t.Context(), command.Target{DeviceID: d.ID, Now: dawn()}, func(command.State) (command.Changes, error) {
		return command.Changes{Commands: []command.Command{newCommand(d.ID, 0)}}, refusal
	})
	if !errors.Is(err, refusal) {
		t.Error(err)
	}
	if pages, err := s.ListCommands(t.Context(), []string{d.ID}, page.Request{}); err != nil || len(pages[d.ID].Items) != 0 {
		t.Error("kept", pages, err)
	}
}

func repeatedWork(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	about := command.Target{DeviceID: d.ID, Now: dawn(), Key: idempotency.Key{Caller: "a", Value: "k", Fingerprint: "f"}}
	send := func(command.State) (command.Changes, error) {
		c := newCommand(d.ID, 0)
		return command.Changes{Commands: []command.Command{c}, Answer: c}, nil
	}
	first := work(t, s, about, send)
	if again := work(t, s, about, send); !reflect.DeepEqual(again, first) {
		t.Errorf("got %+v\nwant %+v", again, first)
	}
}

// Each of 32 concurrent decisions reads the writes of earlier ones.
func serialisesWork(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	seen := make([]int64, 32)
	var all sync.WaitGroup
	for i := range seen {
		all.Go(func() {
			_, err := s.Decide(t.Context(), command.Target{DeviceID: d.ID, Now: dawn()}, func(at command.State) (command.Changes, error) {
				seen[i] = at.Open
				return command.Changes{Commands: []command.Command{newCommand(d.ID, i)}}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	slices.Sort(seen)
	for i, open := range seen {
		if open != int64(i) {
			t.Fatalf("they saw %v open commands", seen)
		}
	}
}

func workOnNothing(t *testing.T, s assembly.Store) {
	d, other := named("d", 0), named("other", 0)
	create(t, s, d, other)
	c := newCommand(other.ID, 0)
	createCommands(t, s, c)
	nothing := func(at command.State) (command.Changes, error) {
		if at.Command != nil {
			t.Error("a command of another device is there")
		}
		return command.Changes{}, nil
	}
	work(t, s, command.Target{DeviceID: d.ID, CommandID: c.ID}, nothing)
	for _, about := range []command.Target{{DeviceID: ids.New(ids.Device)}, {CommandID: ids.New(ids.Command)}} {
		about.Now = dawn()
		if _, err := s.Decide(t.Context(), about, nothing); errs.From(err).Code != errs.NotFound {
			t.Errorf("%+v: %v", about, err)
		}
	}
}

func findsReference(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	unlock, lock := newCommand(d.ID, 0), newCommand(d.ID, 1)
	unlock.Name, unlock.Reference = "unlock", "trip_1"
	lock.Name, lock.Reference = "lock", "trip_1"
	createCommands(t, s, unlock, lock)
	find := func(reference string) (found *command.Command) {
		work(t, s, command.Target{DeviceID: d.ID, Reference: reference}, func(at command.State) (command.Changes, error) {
			found = at.Command
			return command.Changes{}, nil
		})
		return found
	}
	if got := find("trip_1"); got == nil || got.ID != unlock.ID {
		t.Errorf("found %+v", got)
	}
	if got := find("trip_2"); got != nil {
		t.Errorf("found %+v", got)
	}
	twice := newCommand(d.ID, 2)
	twice.Name, twice.Reference = "unlock", "trip_1"
	_, err := s.Decide(t.Context(), command.Target{DeviceID: d.ID, Now: dawn()}, func(command.State) (command.Changes, error) {
		return command.Changes{Commands: []command.Command{twice}}, nil
	})
	if err == nil {
		t.Error("a reference was unlocked for twice")
	}
}

func findsDue(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	if next, err := s.NextDue(t.Context()); err != nil || next != nil {
		t.Errorf("nothing is due, but %v, %v", next, err)
	}
	late, early, had, over := newCommand(d.ID, 9), newCommand(d.ID, 3), newCommand(d.ID, 4), newCommand(d.ID, 1)
	had.Status, over.Status, over.DueAt = command.Acknowledged, command.Succeeded, nil
	createCommands(t, s, late, early, had, over)
	for minute, want := range map[int][]string{2: nil, 5: {early.ID, had.ID}, 10: {early.ID, had.ID, late.ID}} {
		got, err := s.DueCommands(t.Context(), dawn().Add(time.Duration(minute)*time.Minute), 10)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("at minute %d %v are due, %v; want %v", minute, got, err, want)
		}
	}
	if next, err := s.NextDue(t.Context()); err != nil || next == nil || !next.Equal(*early.DueAt) {
		t.Errorf("the next is due at %v, %v", next, err)
	}
	if got, err := s.Unacknowledged(t.Context(), d.ID); err != nil || !slices.Equal(got, []string{early.ID, late.ID}) {
		t.Errorf("%v wait for the device, %v", got, err)
	}
}

func outlivesDevice(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	c := newCommand(d.ID, 0)
	createCommands(t, s, c)
	mustChange(t, s, d.ID, remove)
	if found, err := s.GetCommands(t.Context(), []string{c.ID}, nil); err != nil || len(found) != 0 {
		t.Errorf("a command of a device that is gone is shown: %v, %v", found, err)
	}
	ended := work(t, s, command.Target{CommandID: c.ID}, func(at command.State) (command.Changes, error) {
		c := *at.Command
		c.Version, c.Status, c.DueAt = 2, command.TimedOut, nil
		return command.Changes{Commands: []command.Command{c}, Answer: c}, nil
	})
	if due, err := s.DueCommands(t.Context(), dawn().Add(time.Hour), 10); err != nil || len(due) != 0 || ended.Status != command.TimedOut {
		t.Errorf("it ended as %s, and %v are due, %v", ended.Status, due, err)
	}
}

func commandsByLabels(t *testing.T, s assembly.Store) {
	north, south := named("north", 0), named("south", 0)
	north.Labels, south.Labels = map[string]string{"site": "north", "floor": "1"}, map[string]string{"site": "south"}
	create(t, s, north, south)
	own, other := newCommand(north.ID, 0), newCommand(south.ID, 0)
	createCommands(t, s, own, other)
	for labels, want := range map[string]int{"site=north": 1, "floor=1": 1, "site=west": 0} {
		key, value, _ := strings.Cut(labels, "=")
		found, err := s.GetCommands(t.Context(), []string{own.ID, other.ID}, map[string]string{key: value})
		if err != nil || len(found) != want || want == 1 && found[0].ID != own.ID {
			t.Errorf("%s: found %v, %v", labels, found, err)
		}
	}
}

func commandsPage(t *testing.T, s assembly.Store) {
	a, b, none := named("a", 0), named("b", 0), named("none", 0)
	create(t, s, a, b, none)
	var mine []string
	for i := range 5 {
		c := newCommand(a.ID, i)
		mine = append(mine, c.ID)
		createCommands(t, s, c, newCommand(b.ID, i))
	}
	slices.Reverse(mine)
	request := page.Request{First: 2, WithTotal: true}
	var got []string
	for range 3 {
		pages, err := s.ListCommands(t.Context(), []string{a.ID, b.ID, none.ID}, request)
		if err != nil || len(pages) != 3 || *pages[a.ID].Total != 5 || len(pages[none.ID].Items) != 0 {
			t.Fatal(pages, err)
		}
		for _, c := range pages[a.ID].Items {
			got = append(got, c.ID)
		}
		request.After = pages[a.ID].Cursors[len(pages[a.ID].Cursors)-1]
	}
	if !slices.Equal(got, mine) {
		t.Errorf("got %v\nwant %v", got, mine)
	}
}

func logLine(c command.Command, i, seconds int, text string) command.LogLine {
	return command.LogLine{
		CommandID: c.ID, DeviceID: c.DeviceID, Ordinal: int64(i), At: dawn().Add(time.Duration(seconds) * time.Second), Stream: "stdout", Text: text,
	}
}

func logged(t *testing.T, s assembly.Store, c command.Command, lines ...command.LogLine) {
	t.Helper()
	work(t, s, command.Target{DeviceID: c.DeviceID}, func(command.State) (command.Changes, error) {
		return command.Changes{Lines: lines, Logged: &c}, nil
	})
}

func linesOnce(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	c := newCommand(d.ID, 0)
	createCommands(t, s, c)
	first, second := logLine(c, 1, 0, "a"), logLine(c, 2, 0, "b")
	again := first
	again.Ordinal = 3
	c.LogLines, c.LogBytes = 3, 3
	logged(t, s, c, first, second)
	logged(t, s, c, again, logLine(c, 4, 1, "a"))
	got, err := s.CommandLogs(t.Context(), []string{c.ID}, 10)
	if want := []command.LogLine{first, second, logLine(c, 4, 1, "a")}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if kept := getCommand(t, s, c.ID); kept.LogLines != 3 || kept.LogBytes != 3 || kept.Version != 1 {
		t.Errorf("the command is %+v", kept)
	}
}

func readsLogs(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	one, two := newCommand(d.ID, 0), newCommand(d.ID, 1)
	createCommands(t, s, one, two)
	for i := range 10 {
		logged(t, s, one, logLine(one, i, 2*i, fmt.Sprint("one ", i)))
		logged(t, s, two, logLine(two, i, 2*i+1, fmt.Sprint("two ", i)))
	}
	texts := func(lines []command.LogLine, err error) (all []string) {
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			all = append(all, l.Text)
		}
		return all
	}
	got := texts(s.CommandLogs(t.Context(), []string{two.ID}, 2))
	if want := []string{"two 0", "two 1"}; !slices.Equal(got, want) {
		t.Errorf("the command logged %q, want %q", got, want)
	}
	got = texts(s.DeviceLogs(t.Context(), []string{d.ID}, dawn().Add(time.Second), dawn().Add(4*time.Second), 10))
	if want := []string{"two 0", "one 1", "two 1"}; !slices.Equal(got, want) {
		t.Errorf("the device logged %q, want %q", got, want)
	}
}

func lockReadsBack(t *testing.T, s assembly.Store) {
	want := named("car", 0)
	at := dawn().Add(time.Minute)
	want.Lock = &device.Lock{
		State: device.Unlocked, Reference: "trip_1", CommandID: "c", LockRequested: true, Doubted: true, Attempts: 3, DueAt: &at,
	}
	key := idempotency.Key{Caller: "a", Value: "k", Fingerprint: "f"}
	for range 2 { // the second is a repeat
		got, err := s.Create(t.Context(), key, *change(want, device.Registered))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, %v\nwant %+v", got.Lock, err, want.Lock)
		}
	}
	if got := mustGet(t, s, want.ID); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got.Lock, want.Lock)
	}
	for now, count := range map[time.Time]int{at.Add(-time.Second): 0, at: 1} {
		if due, err := s.DueLocks(t.Context(), now, 10); err != nil || len(due) != count {
			t.Errorf("at %v %v are due, %v", now, due, err)
		}
	}
	if next, err := s.NextDue(t.Context()); err != nil || next == nil || !next.Equal(at) {
		t.Errorf("the next is due at %v, %v", next, err)
	}
	work(t, s, command.Target{DeviceID: want.ID}, func(at command.State) (command.Changes, error) {
		d := at.Device
		d.Version, d.Lock = d.Version+1, &device.Lock{State: device.Locked}
		return command.Changes{Device: change(d, device.EventType(device.LockChanged))}, nil
	})
	if got := mustGet(t, s, want.ID); got.Version != 2 || !reflect.DeepEqual(got.Lock, &device.Lock{State: device.Locked}) {
		t.Errorf("it is at version %d with %+v", got.Version, got.Lock)
	}
}
