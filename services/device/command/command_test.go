package command_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/devicetest"
	"github.com/sluicehq/sluice/services/device/uplink"
)

func TestACommandLivesItsLife(t *testing.T) {
	t.Parallel()
	s := devicetest.Open(t)
	d := s.Register(t, device.Gateway)
	c := s.Send(t, command.SendInput{DeviceID: d.ID, Arguments: `{"in":5}`, Timeout: 2 * time.Minute})
	if c.Status != command.Sent || c.SentAt == nil || c.Caller != "account_operator" {
		t.Errorf("sent as %+v", c)
	}
	sent := s.Radio.Take()
	if len(sent) != 1 || sent[0].DeviceID != d.ID || sent[0].ID != c.ID || sent[0].Name != "reboot" || string(sent[0].Arguments) != `{"in":5}` ||
		!sent[0].Deadline.Equal(s.Clock.Now().Add(2*time.Minute)) {
		t.Fatalf("the device was told %+v", sent)
	}
	s.Clock.Advance(time.Second)
	s.Hear(t, d.ID, device.UpCommandAck, `{"id":%q}`, c.ID)
	s.Hear(t, d.ID, device.UpCommandAck, `{"id":%q}`, c.ID)
	if got := s.Command(t, c.ID); got.Status != command.Acknowledged || !got.AcknowledgedAt.Equal(s.Clock.Now()) || got.Version != 3 {
		t.Errorf("acknowledged as %+v", got)
	}
	s.Hear(t, d.ID, device.UpCommandLog, `{"id":%q,"at":"2026-03-01T06:00:00.5Z","stream":"stdout","text":"going down"}`, c.ID)
	s.Hear(t, d.ID, device.UpCommandLog, `{"id":%q,"lines":[{"text":"up"},{"text":"well","at":"2199-01-01T00:00:00Z"}]}`, c.ID)
	s.Clock.Advance(time.Second)
	for range 2 {
		s.Hear(t, d.ID, device.UpCommandResult, `{"id":%q,"ok":true,"result":{"took":1.5}}`, c.ID)
	}
	got := s.Command(t, c.ID)
	if got.Status != command.Succeeded || got.Result != `{"took":1.5}` || !got.FinishedAt.Equal(s.Clock.Now()) || got.DueAt != nil {
		t.Errorf("ended as %+v", got)
	}
	lines, err := s.Commands.BatchGetLogs(devicetest.As(t, caller.Operator), []string{c.ID}, 10)
	if err != nil || len(lines) != 3 || lines[0].Text != "going down" || !lines[2].At.Equal(s.Clock.Now().Add(-time.Second)) {
		t.Errorf("it logged %+v, %v", lines, err)
	}
	if noted := s.Noted(t, d.ID); noted != "COMMAND_LATE" { // of the result that came again
		t.Errorf("noted %s", noted)
	}
}

func TestAFloodOfLateResultsIsBounded(t *testing.T) {
	t.Parallel()
	s := devicetest.Open(t)
	d := s.Register(t, device.Gateway)
	c := s.Send(t, command.SendInput{DeviceID: d.ID})
	for range 100 {
		s.Hear(t, d.ID, device.UpCommandResult, `{"id":%q,"ok":true}`, c.ID)
	}
	if n := strings.Count(s.Noted(t, d.ID), "COMMAND_LATE"); n != 60 {
		t.Errorf("%d are noted", n)
	}
}

// ending is how a command ends.
type ending struct {
	name     string
	presence device.Presence
	in       command.SendInput
	then     func(s *devicetest.Station, t *testing.T, c command.Command)
	status   command.Status // "" when it is not to be seen any more
	reason   string
	sends    int // that the device has seen
	noted    string
}

func endings() []ending {
	return []ending{
		{"the device never answers", device.Online, command.SendInput{}, func(s *devicetest.Station, t *testing.T, _ command.Command) {
			for range 12 {
				s.Clock.Advance(5 * time.Second)
				s.RunDue(t)
			}
		}, command.TimedOut, command.ReasonTimedOut, 5, ""},
		{"it acknowledges and never answers", device.Online, command.SendInput{}, func(s *devicetest.Station, t *testing.T, c command.Command) {
			s.Hear(t, c.DeviceID, device.UpCommandAck, `{"id":%q}`, c.ID)
			s.Clock.Advance(time.Minute)
			s.RunDue(t)
		}, command.TimedOut, command.ReasonTimedOut, 1, ""},
		{"it fails", device.Online, command.SendInput{}, func(s *devicetest.Station, t *testing.T, c command.Command) {
			s.Hear(t, c.DeviceID, device.UpCommandResult, `{"id":%q,"ok":false,"error":"stuck"}`, c.ID)
		}, command.Failed, command.ReasonFailed, 1, ""},
		{"it answers too late", device.Online, command.SendInput{}, func(s *devicetest.Station, t *testing.T, c command.Command) {
			s.Clock.Advance(time.Minute)
			s.RunDue(t)
			s.Hear(t, c.DeviceID, device.UpCommandResult, `{"id":%q,"ok":true}`, c.ID)
			s.Hear(t, c.DeviceID, device.UpCommandLog, `{"id":%q,"text":"x"}`, c.ID)
		}, command.TimedOut, command.ReasonTimedOut, 1, "MESSAGE_REFUSED COMMAND_LATE"},
		{"the device is offline", device.Offline, command.SendInput{}, nil, command.Failed, device.ReasonOffline, 0, ""},
		{"it does not come back in time", device.Offline, command.SendInput{QueueUntil: in(time.Hour)}, func(s *devicetest.Station, t *testing.T, _ command.Command) {
			s.Clock.Advance(time.Hour)
			s.RunDue(t)
		}, command.Failed, device.ReasonOffline, 0, ""},
		{"it comes back in time, and is too slow", device.Offline, command.SendInput{QueueUntil: in(time.Hour)}, func(s *devicetest.Station, t *testing.T, c command.Command) {
			s.Clock.Advance(59 * time.Minute)
			s.RunDue(t)
			if err := s.Uplink.Welcome(t.Context(), c.DeviceID); err != nil {
				t.Fatal(err)
			}
			s.Clock.Advance(59 * time.Second)
			s.RunDue(t)
			if got := s.Command(t, c.ID); got.Status != command.Sent {
				t.Errorf("before its time it is %s", got.Status)
			}
			s.Clock.Advance(time.Second)
			s.RunDue(t)
		}, command.TimedOut, command.ReasonTimedOut, 2, ""},
		{"the broker is away all the time", device.Online, command.SendInput{}, func(s *devicetest.Station, t *testing.T, _ command.Command) {
			s.Clock.Advance(time.Minute)
			s.RunDue(t)
		}, command.TimedOut, command.ReasonTimedOut, 1, ""},
		{"it is cancelled", device.Online, command.SendInput{}, func(s *devicetest.Station, t *testing.T, c command.Command) {
			if _, err := s.Commands.Cancel(devicetest.As(t, caller.Operator), c.ID); err != nil {
				t.Fatal(err)
			}
			_, err := s.Commands.Cancel(devicetest.As(t, caller.Operator), c.ID)
			if errs.From(err).Reason != command.ReasonOver {
				t.Errorf("cancelled twice: %v", err)
			}
		}, command.Cancelled, "", 1, ""},
		{"its device is deleted", device.Online, command.SendInput{}, func(s *devicetest.Station, t *testing.T, c command.Command) {
			if err := s.Registry.Delete(devicetest.As(t, caller.Admin), c.DeviceID, nil); err != nil {
				t.Fatal(err)
			}
			s.Clock.Advance(2 * time.Second) // long before its deadline
			s.RunDue(t)
		}, "", "", 1, ""},
	}
}

// Whatever the device does, the deadline ends the command.
func TestACommandEnds(t *testing.T) {
	t.Parallel()
	for _, c := range endings() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := devicetest.Open(t)
			d := s.Register(t, device.Gateway)
			s.SetPresence(t, d.ID, c.presence)
			c.in.DeviceID = d.ID
			sent := s.Send(t, c.in)
			if c.then != nil {
				c.then(s, t, sent)
			}
			if due, err := s.Store.DueCommands(t.Context(), s.Clock.Now().Add(1000*time.Hour), 10); err != nil || len(due) != 0 {
				t.Errorf("%v are still open, %v", due, err)
			}
			if sends := len(s.Radio.Take()); sends != c.sends {
				t.Errorf("the device was told %d times", sends)
			}
			if c.status == "" {
				return
			}
			if got := s.Command(t, sent.ID); got.Status != c.status || got.Reason != c.reason || got.FinishedAt == nil {
				t.Errorf("it ended as %+v", got)
			}
			if noted := s.Noted(t, d.ID); noted != c.noted {
				t.Errorf("noted %s", noted)
			}
		})
	}
}

// in is a time of the station's clock after its start.
func in(d time.Duration) *time.Time {
	at := time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC).Add(d)
	return &at
}

// What was marked as sent, and was not, goes out again under the same id, after a restart too.
func TestACommandIsRepeatedUnderItsID(t *testing.T) {
	t.Parallel()
	s := devicetest.Open(t)
	d := s.Register(t, device.Gateway)
	s.Radio.Down = true
	c := s.Send(t, command.SendInput{DeviceID: d.ID})
	s.Radio.Down = false
	s.Restart()
	s.RunDue(t)
	if sent := s.Radio.Take(); len(sent) != 0 {
		t.Errorf("sent %v before its time", sent)
	}
	s.Clock.Advance(10 * time.Second)
	s.RunDue(t)
	s.RunDue(t)
	if sent := s.Radio.Take(); len(sent) != 1 || sent[0].ID != c.ID {
		t.Errorf("sent %v", sent)
	}
	if err := s.Uplink.Welcome(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	if sent := s.Radio.Take(); len(sent) != 0 {
		t.Errorf("sent %v to a device that has just got it", sent)
	}
	s.Clock.Advance(2 * time.Second)
	s.Hear(t, d.ID, device.UpCommandAck, `{"id":%q}`, c.ID)
	if err := s.Uplink.Welcome(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	if sent := s.Radio.Take(); len(sent) != 0 {
		t.Errorf("sent %v to a device that has it", sent)
	}
}

func TestWhatDevicesSayOfCommandsIsChecked(t *testing.T) {
	t.Parallel()
	s := devicetest.Open(t)
	d, other := s.Register(t, device.Gateway), s.Register(t, device.Gateway)
	c := s.Send(t, command.SendInput{DeviceID: d.ID})
	for _, m := range []device.UpMessage{
		{DeviceID: d.ID, Topic: device.UpCommandAck, Payload: []byte(`{`)},
		{DeviceID: d.ID, Topic: device.UpCommandAck, Payload: []byte(`{"id":"x"}`)},
		{DeviceID: d.ID, Topic: device.UpCommandAck, Payload: []byte(`{"id":"` + ids.New(ids.Command) + `"}`)},
		{DeviceID: d.ID, Topic: device.UpCommandResult, Payload: []byte(`{"id":"` + c.ID + `"}`)},
		{DeviceID: d.ID, Topic: device.UpCommandResult, Payload: []byte("{\"id\":\"" + c.ID + "\",\"ok\":true,\"result\":\"\xff\"}")},
		{DeviceID: other.ID, Topic: device.UpCommandResult, Payload: []byte(`{"id":"` + c.ID + `","ok":true}`)},
	} {
		if err := s.Uplink.Handle(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if events := s.Events(t, m.DeviceID); events[0].Type != uplink.Refused {
			t.Errorf("%s was not refused", m.Payload)
		}
	}
	if got := s.Command(t, c.ID); got.Status != command.Sent {
		t.Errorf("the command is %s", got.Status)
	}
}

func TestALogIsAskedForOverATime(t *testing.T) {
	t.Parallel()
	s := devicetest.Open(t)
	d := s.Register(t, device.Gateway)
	_, err := s.Commands.BatchGetDeviceLogs(devicetest.As(t, caller.Operator), []string{d.ID}, *in(time.Hour), *in(0), 10)
	if !errors.Is(err, errs.Invalid("from", "")) {
		t.Errorf("backwards: %v", err)
	}
}

func TestLogsAreBounded(t *testing.T) {
	t.Parallel()
	s := devicetest.Open(t)
	d := s.Register(t, device.Gateway)
	for name, line := range map[string]string{"lines": "x", "bytes": strings.Repeat("ü", 3_000)} {
		c := s.Send(t, command.SendInput{DeviceID: d.ID})
		for i := range 11 {
			var lines []string
			for j := range 100 {
				lines = append(lines, fmt.Sprintf(`{"text":"%d %s"}`, 100*i+j, line))
			}
			for _, part := range [][]string{lines[:10], lines[10:20], lines[20:]} {
				if name == "bytes" {
					part = part[:10]
				}
				s.Hear(t, d.ID, device.UpCommandLog, `{"id":%q,"lines":[%s]}`, c.ID, strings.Join(part, ","))
			}
		}
		kept, err := s.Commands.BatchGetLogs(devicetest.As(t, caller.Operator), []string{c.ID}, 1000)
		bytes := 0
		for _, l := range kept {
			bytes += len(l.Text)
		}
		if err != nil || len(kept) > 1_001 || bytes > 130<<10 || len(kept) < 60 {
			t.Errorf("%s: kept %d lines of %d bytes, %v", name, len(kept), bytes, err)
		}
	}
}

func TestWhoMaySendWhat(t *testing.T) {
	t.Parallel()
	s := devicetest.Open(t)
	d := s.Register(t, device.Gateway)
	key := caller.Caller{AccountID: "account_1", APIKeyID: "apikey_1", Role: caller.Member, Scopes: []string{caller.DeviceCommand}}
	good := command.SendInput{DeviceID: d.ID, Name: "reboot"}
	with := func(change func(in *command.SendInput)) command.SendInput {
		in := good
		change(&in)
		return in
	}
	cases := []struct {
		name string
		ctx  context.Context
		in   command.SendInput
		want errs.Code
	}{
		{"nobody", t.Context(), good, errs.Unauthenticated},
		{"a member", devicetest.As(t, caller.Member), good, errs.PermissionDenied},
		{"a member's key", caller.NewContext(t.Context(), key), good, errs.PermissionDenied},
		{"no name", devicetest.As(t, caller.Operator), with(func(in *command.SendInput) { in.Name = " " }), errs.InvalidArgument},
		{"no object", devicetest.As(t, caller.Operator), with(func(in *command.SendInput) { in.Arguments = "[]" }), errs.InvalidArgument},
		{"null", devicetest.As(t, caller.Operator), with(func(in *command.SendInput) { in.Arguments = "null" }), errs.InvalidArgument},
		{"a long object", devicetest.As(t, caller.Operator), with(func(in *command.SendInput) { in.Arguments = `{"a":"` + strings.Repeat("x", 17_000) + `"}` }), errs.InvalidArgument},
		{"no time", devicetest.As(t, caller.Operator), with(func(in *command.SendInput) { in.Timeout = time.Millisecond }), errs.InvalidArgument},
		{"a queue into the past", devicetest.As(t, caller.Operator), with(func(in *command.SendInput) { in.QueueUntil = inPast() }), errs.InvalidArgument},
		{"no such device", devicetest.As(t, caller.Operator), with(func(in *command.SendInput) { in.DeviceID = ids.New(ids.Device) }), errs.NotFound},
	}
	for _, c := range cases {
		if _, err := s.Commands.Send(c.ctx, c.in); errs.From(err) == nil || errs.From(err).Code != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	c := s.Send(t, good)
	if _, err := s.Commands.Cancel(devicetest.As(t, caller.Member), c.ID); errs.From(err).Code != errs.PermissionDenied {
		t.Errorf("a member cancels: %v", err)
	}
	if found, err := s.Commands.BatchGet(devicetest.As(t, caller.Member), []string{c.ID}); err != nil || len(found) != 0 {
		t.Errorf("a member sees %v, %v", found, err)
	}
	limited := caller.NewContext(t.Context(), caller.Caller{
		AccountID: "account_1", APIKeyID: "apikey_1", Role: caller.Admin, Scopes: caller.ScopesOf(caller.Admin), DeviceLabels: map[string]string{"site": "north"},
	})
	_, sendErr := s.Commands.Send(limited, good)
	_, cancelErr := s.Commands.Cancel(limited, c.ID)
	found, err := s.Commands.BatchGet(limited, []string{c.ID})
	if errs.From(sendErr).Code != errs.NotFound || errs.From(cancelErr).Code != errs.NotFound || err != nil || len(found) != 0 {
		t.Errorf("a key that is limited to others: %v, %v, %v %v", sendErr, cancelErr, found, err)
	}
	for range 99 {
		s.Send(t, good)
	}
	if _, err := s.Commands.Send(devicetest.As(t, caller.Operator), good); errs.From(err).Reason != command.ReasonTooMany {
		t.Errorf("the 101st: %v", err)
	}
}

func inPast() *time.Time { return in(-time.Second) }

func TestARepeatedSendIsOneCommand(t *testing.T) {
	t.Parallel()
	s := devicetest.Open(t)
	d := s.Register(t, device.Gateway)
	first := s.Send(t, command.SendInput{DeviceID: d.ID, IdempotencyKey: "k"})
	again := s.Send(t, command.SendInput{DeviceID: d.ID, IdempotencyKey: "k"})
	if again.ID != first.ID || len(s.Radio.Take()) != 1 {
		t.Errorf("got %s, then %s", first.ID, again.ID)
	}
}
