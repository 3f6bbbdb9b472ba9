package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/maintenance"
)

func minute(n int) time.Time { return dawn().Add(time.Duration(n) * time.Minute) }

// deleteAll deletes batches of two until nothing is left, and returns the number of rows.
func deleteAll(t *testing.T, drop func(most int) (int64, error)) int64 {
	t.Helper()
	total := int64(0)
	for {
		n, err := drop(2)
		if err != nil || n > 2 {
			t.Fatalf("%d went at once, %v", n, err)
		}
		if n == 0 {
			return total
		}
		total += n
	}
}

func forgetsCalls(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	var kept []maintenance.Call
	for i := range 5 {
		kept = append(kept, call(d.ID, "k", "OK", minute(i)))
	}
	if err := s.RecordCalls(t.Context(), kept, nil); err != nil {
		t.Fatal(err)
	}
	if n := deleteAll(t, func(most int) (int64, error) { return s.ForgetCalls(t.Context(), minute(3), most) }); n != 3 {
		t.Errorf("%d went", n)
	}
	if got := listCalls(t, s, maintenance.CallFilter{DeviceID: d.ID}, page.Request{}); len(got.Items) != 2 || got.Items[1] != kept[3] {
		t.Errorf("left are %+v", got.Items)
	}
}

func note(t *testing.T, s assembly.Store, deviceID string, at time.Time) {
	t.Helper()
	err := s.Note(t.Context(), device.Event{ID: ids.New(ids.Event), DeviceID: deviceID, At: at, Type: "REPORTED", Message: "m", Actor: deviceID, Data: "{}"})
	if err != nil {
		t.Fatal(err)
	}
}

func forgetsEvents(t *testing.T, s assembly.Store) {
	d, other := named("d", 0), named("other", 4)
	create(t, s, d, other) // adds an event too
	for i := range 5 {
		note(t, s, d.ID, minute(i+1))
	}
	if n := deleteAll(t, func(most int) (int64, error) { return s.ForgetEvents(t.Context(), minute(4), most) }); n != 4 {
		t.Errorf("%d went", n)
	}
	if left := eventsOf(t, s, d.ID); len(left) != 2 || !left[1].At.Equal(minute(4)) || len(eventsOf(t, s, other.ID)) != 1 {
		t.Errorf("left are %+v", left)
	}
	mustGet(t, s, d.ID)
}

func over(deviceID string, minutes int) command.Command {
	c, at := newCommand(deviceID, minutes-1), minute(minutes)
	c.Status, c.FinishedAt, c.DueAt = command.Succeeded, &at, nil
	return c
}

func forgetsCommands(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	open, late := newCommand(d.ID, 0), over(d.ID, 5)
	createCommands(t, s, open, over(d.ID, 1), over(d.ID, 2), over(d.ID, 3), late)
	old := over(d.ID, 4)
	createCommands(t, s, old)
	for _, c := range []command.Command{open, old, late} {
		logged(t, s, c, command.LogLine{CommandID: c.ID, DeviceID: d.ID, Ordinal: 1, At: minute(0), Text: "x"})
	}
	if n := deleteAll(t, func(most int) (int64, error) { return s.ForgetCommands(t.Context(), minute(5), most) }); n != 4 {
		t.Errorf("%d went", n)
	}
	found, err := s.GetCommands(t.Context(), []string{open.ID, old.ID, late.ID}, nil)
	if err != nil || len(found) != 2 {
		t.Errorf("left are %+v, %v", found, err)
	}
	lines, err := s.DeviceLogs(t.Context(), []string{d.ID}, minute(-1), minute(60), 10)
	if err != nil || len(lines) != 2 {
		t.Errorf("the log is %+v, %v", lines, err)
	}
}

// A transaction is bounded whatever the length of the logs.
func forgetsLongLogs(t *testing.T, s assembly.Store) {
	d := named("d", 0)
	create(t, s, d)
	for i := range 6 {
		c := over(d.ID, i+1)
		c.LogLines = 2_000
		createCommands(t, s, c)
	}
	for _, want := range []int64{2, 2, 2, 0} {
		if n, err := s.ForgetCommands(t.Context(), minute(60), 100); err != nil || n != want {
			t.Errorf("%d went, want %d; %v", n, want, err)
		}
	}
}

func trims(t *testing.T, s assembly.Store) {
	busy, idle := named("busy", 0), named("idle", 0)
	create(t, s, busy, idle)
	open := newCommand(busy.ID, 0)
	createCommands(t, s, open)
	var kept []maintenance.Call
	for i := range 6 {
		note(t, s, busy.ID, minute(i+1))
		createCommands(t, s, over(busy.ID, i+2))
		kept = append(kept, call(busy.ID, "k", "OK", minute(i)))
	}
	kept = append(kept, call(idle.ID, "k", "OK", minute(0)))
	if err := s.RecordCalls(t.Context(), kept, nil); err != nil {
		t.Fatal(err)
	}
	for _, d := range []device.Device{busy, idle} {
		total := int64(0)
		for n := int64(1); n > 0; total += n {
			var err error
			if n, err = s.Trim(t.Context(), d.ID, 3, 2); err != nil || n > 6 {
				t.Fatalf("%d went at once, %v", n, err)
			}
		}
		if want := map[string]int64{busy.ID: 4 + 3 + 3, idle.ID: 0}[d.ID]; total != want {
			t.Errorf("%s: %d went, want %d", d.Name, total, want)
		}
	}
	pages, err := s.ListCommands(t.Context(), []string{busy.ID}, page.Request{})
	if left := pages[busy.ID].Items; err != nil || len(left) != 4 || left[3].ID != open.ID {
		t.Errorf("the commands are %+v, %v", left, err)
	}
	if left := eventsOf(t, s, busy.ID); len(left) != 3 || !left[0].At.Equal(minute(6)) {
		t.Errorf("the events are %+v", left)
	}
	if left := fmt.Sprint(len(listCalls(t, s, maintenance.CallFilter{DeviceID: busy.ID}, page.Request{}).Items), len(listCalls(t, s, maintenance.CallFilter{DeviceID: idle.ID}, page.Request{}).Items)); left != "3 1" {
		t.Errorf("calls left: %s", left)
	}
}
