package device_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/store"
)

// radio is a downlink that writes down what it is given; down, it fails.
type radio struct {
	mu   sync.Mutex
	sent []told
	down bool
}

// told is what a device was told.
type told struct {
	DeviceID  string `json:"-"`
	ID        string
	Name      string
	Arguments json.RawMessage
	Deadline  time.Time
}

func (r *radio) Deliver(_ context.Context, deviceID string, topic device.DownTopic, payload []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return errors.New("the broker is away")
	}
	if topic != device.DownCommands {
		return nil
	}
	order := told{DeviceID: deviceID}
	if err := json.Unmarshal(payload, &order); err != nil {
		return err
	}
	r.sent = append(r.sent, order)
	return nil
}

// take gives what was sent since the last time.
func (r *radio) take() []told {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent := r.sent
	r.sent = nil
	return sent
}

// station is the service with a radio, and what looks after commands.
type station struct {
	field
	radio     *radio
	attendant *device.Attendant
}

func openStation(t testing.TB) station {
	t.Helper()
	db := sqltest.OpenSQLite(t, store.Migrations())
	now := clock.NewManual(time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC))
	kept := store.New(db, device.Encoding{Device: encode[device.Device], Command: encode[device.Command], LogLine: encode[device.LogLine]})
	s := station{field: field{db: db, store: kept, clock: now}, radio: &radio{}}
	s.restart()
	return s
}

// restart is another process on the same rows.
func (s *station) restart() {
	s.Service = device.New(s.store, s.clock, device.Options{Downlink: s.radio})
	s.attendant = device.NewAttendant(s.Service, slog.New(slog.DiscardHandler))
}

func as(t testing.TB, role caller.Role) context.Context {
	t.Helper()
	return caller.NewContext(t.Context(), caller.Caller{AccountID: "account_" + strings.ToLower(string(role)), Role: role, Scopes: caller.ScopesOf(role)})
}

func (s station) send(t *testing.T, in device.SendInput) device.Command {
	t.Helper()
	if in.Name == "" {
		in.Name = "reboot"
	}
	c, err := s.Send(as(t, caller.Operator), in)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s station) hear(t *testing.T, deviceID string, topic device.UpTopic, format string, args ...any) {
	t.Helper()
	m := device.UpMessage{DeviceID: deviceID, Topic: topic, Payload: fmt.Appendf(nil, format, args...), ArrivedAt: s.clock.Now()}
	if err := s.Take(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func (s station) turn(t *testing.T) {
	t.Helper()
	if err := s.attendant.Turn(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (s station) command(t *testing.T, id string) device.Command {
	t.Helper()
	found, err := s.BatchGetCommands(as(t, caller.Operator), []string{id})
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	return found[0]
}

// noted gives the types of the newest events of the device, without its making.
func (s station) noted(t *testing.T, deviceID string) string {
	t.Helper()
	var types []string
	for _, e := range s.events(t, deviceID) {
		if e.Type != device.Registered {
			types = append(types, string(e.Type))
		}
	}
	return strings.Join(types, " ")
}

// presence sets what is known of the device's presence.
func (s station) presence(t *testing.T, id string, p device.Presence) {
	t.Helper()
	err := s.db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE devices SET presence = $1 WHERE id = $2`, string(p), id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestACommandLivesItsLife(t *testing.T) {
	t.Parallel()
	s := openStation(t)
	d := s.register(t, device.Gateway)
	c := s.send(t, device.SendInput{DeviceID: d.ID, Arguments: `{"in":5}`, Timeout: 2 * time.Minute})
	if c.Status != device.Sent || c.SentAt == nil || c.Caller != "account_operator" {
		t.Errorf("sent as %+v", c)
	}
	sent := s.radio.take()
	if len(sent) != 1 || sent[0].DeviceID != d.ID || sent[0].ID != c.ID || sent[0].Name != "reboot" || string(sent[0].Arguments) != `{"in":5}` ||
		!sent[0].Deadline.Equal(s.clock.Now().Add(2*time.Minute)) {
		t.Fatalf("the device was told %+v", sent)
	}
	s.clock.Advance(time.Second)
	s.hear(t, d.ID, device.UpCommandAck, `{"id":%q}`, c.ID)
	s.hear(t, d.ID, device.UpCommandAck, `{"id":%q}`, c.ID)
	if got := s.command(t, c.ID); got.Status != device.Acknowledged || !got.AcknowledgedAt.Equal(s.clock.Now()) || got.Version != 3 {
		t.Errorf("acknowledged as %+v", got)
	}
	s.hear(t, d.ID, device.UpCommandLog, `{"id":%q,"at":"2026-03-01T06:00:00.5Z","stream":"stdout","text":"going down"}`, c.ID)
	s.hear(t, d.ID, device.UpCommandLog, `{"id":%q,"lines":[{"text":"up"},{"text":"well","at":"2199-01-01T00:00:00Z"}]}`, c.ID)
	s.clock.Advance(time.Second)
	for range 2 {
		s.hear(t, d.ID, device.UpCommandResult, `{"id":%q,"ok":true,"result":{"took":1.5}}`, c.ID)
	}
	got := s.command(t, c.ID)
	if got.Status != device.Succeeded || got.Result != `{"took":1.5}` || !got.FinishedAt.Equal(s.clock.Now()) || got.DueAt != nil {
		t.Errorf("ended as %+v", got)
	}
	lines, err := s.BatchGetCommandLogs(as(t, caller.Operator), []string{c.ID}, 10)
	if err != nil || len(lines) != 3 || lines[0].Text != "going down" || !lines[2].At.Equal(s.clock.Now().Add(-time.Second)) {
		t.Errorf("it logged %+v, %v", lines, err)
	}
	if noted := s.noted(t, d.ID); noted != "" {
		t.Errorf("noted %s", noted)
	}
}

// ending is how a command ends.
type ending struct {
	name     string
	presence device.Presence
	in       device.SendInput
	then     func(s *station, t *testing.T, c device.Command)
	status   device.CommandStatus // "" when it is not to be seen any more
	reason   string
	sends    int // that the device has seen
	noted    string
}

func endings() []ending {
	return []ending{
		{"the device never answers", device.Online, device.SendInput{}, func(s *station, t *testing.T, _ device.Command) {
			for range 12 {
				s.clock.Advance(5 * time.Second)
				s.turn(t)
			}
		}, device.TimedOut, device.ReasonCommandTimeout, 5, ""},
		{"it acknowledges and never answers", device.Online, device.SendInput{}, func(s *station, t *testing.T, c device.Command) {
			s.hear(t, c.DeviceID, device.UpCommandAck, `{"id":%q}`, c.ID)
			s.clock.Advance(time.Minute)
			s.turn(t)
		}, device.TimedOut, device.ReasonCommandTimeout, 1, ""},
		{"it fails", device.Online, device.SendInput{}, func(s *station, t *testing.T, c device.Command) {
			s.hear(t, c.DeviceID, device.UpCommandResult, `{"id":%q,"ok":false,"error":"stuck"}`, c.ID)
		}, device.Failed, device.ReasonCommandFailed, 1, ""},
		{"it answers too late", device.Online, device.SendInput{}, func(s *station, t *testing.T, c device.Command) {
			s.clock.Advance(time.Minute)
			s.turn(t)
			s.hear(t, c.DeviceID, device.UpCommandResult, `{"id":%q,"ok":true}`, c.ID)
			s.hear(t, c.DeviceID, device.UpCommandLog, `{"id":%q,"text":"x"}`, c.ID)
		}, device.TimedOut, device.ReasonCommandTimeout, 1, "MESSAGE_REFUSED COMMAND_LATE"},
		{"the device is offline", device.Offline, device.SendInput{}, nil, device.Failed, device.ReasonDeviceOffline, 0, ""},
		{"it does not come back in time", device.Offline, device.SendInput{QueueUntil: in(time.Hour)}, func(s *station, t *testing.T, _ device.Command) {
			s.clock.Advance(time.Hour)
			s.turn(t)
		}, device.Failed, device.ReasonDeviceOffline, 0, ""},
		{"it comes back in time, and is too slow", device.Offline, device.SendInput{QueueUntil: in(time.Hour)}, func(s *station, t *testing.T, c device.Command) {
			s.clock.Advance(59 * time.Minute)
			s.turn(t)
			if err := s.Welcome(t.Context(), c.DeviceID); err != nil {
				t.Fatal(err)
			}
			s.clock.Advance(59 * time.Second)
			s.turn(t)
			if got := s.command(t, c.ID); got.Status != device.Sent {
				t.Errorf("before its time it is %s", got.Status)
			}
			s.clock.Advance(time.Second)
			s.turn(t)
		}, device.TimedOut, device.ReasonCommandTimeout, 2, ""},
		{"the broker is away all the time", device.Online, device.SendInput{}, func(s *station, t *testing.T, _ device.Command) {
			s.clock.Advance(time.Minute)
			s.turn(t)
		}, device.TimedOut, device.ReasonCommandTimeout, 1, ""},
		{"it is cancelled", device.Online, device.SendInput{}, func(s *station, t *testing.T, c device.Command) {
			if _, err := s.Cancel(as(t, caller.Operator), c.ID); err != nil {
				t.Fatal(err)
			}
			_, err := s.Cancel(as(t, caller.Operator), c.ID)
			if errs.From(err).Reason != device.ReasonCommandOver {
				t.Errorf("cancelled twice: %v", err)
			}
		}, device.Cancelled, "", 1, ""},
		{"its device is deleted", device.Online, device.SendInput{}, func(s *station, t *testing.T, c device.Command) {
			if err := s.Delete(as(t, caller.Admin), c.DeviceID, nil); err != nil {
				t.Fatal(err)
			}
			s.clock.Advance(2 * time.Second) // long before its deadline
			s.turn(t)
		}, "", "", 1, ""},
	}
}

// Whatever the device does, the deadline ends the command.
func TestACommandEnds(t *testing.T) {
	t.Parallel()
	for _, c := range endings() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := openStation(t)
			d := s.register(t, device.Gateway)
			s.presence(t, d.ID, c.presence)
			c.in.DeviceID = d.ID
			sent := s.send(t, c.in)
			if c.then != nil {
				c.then(&s, t, sent)
			}
			if due, err := s.store.DueCommands(t.Context(), s.clock.Now().Add(1000*time.Hour), 10); err != nil || len(due) != 0 {
				t.Errorf("%v are still open, %v", due, err)
			}
			if sends := len(s.radio.take()); sends != c.sends {
				t.Errorf("the device was told %d times", sends)
			}
			if c.status == "" {
				return
			}
			if got := s.command(t, sent.ID); got.Status != c.status || got.Reason != c.reason || got.FinishedAt == nil {
				t.Errorf("it ended as %+v", got)
			}
			if noted := s.noted(t, d.ID); noted != c.noted {
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
	s := openStation(t)
	d := s.register(t, device.Gateway)
	s.radio.down = true
	c := s.send(t, device.SendInput{DeviceID: d.ID})
	s.radio.down = false
	s.restart()
	s.turn(t)
	if sent := s.radio.take(); len(sent) != 0 {
		t.Errorf("sent %v before its time", sent)
	}
	s.clock.Advance(10 * time.Second)
	s.turn(t)
	s.turn(t)
	if sent := s.radio.take(); len(sent) != 1 || sent[0].ID != c.ID {
		t.Errorf("sent %v", sent)
	}
	if err := s.Welcome(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	if sent := s.radio.take(); len(sent) != 0 {
		t.Errorf("sent %v to a device that has just got it", sent)
	}
	s.clock.Advance(2 * time.Second)
	s.hear(t, d.ID, device.UpCommandAck, `{"id":%q}`, c.ID)
	if err := s.Welcome(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	if sent := s.radio.take(); len(sent) != 0 {
		t.Errorf("sent %v to a device that has it", sent)
	}
}

func TestWhatDevicesSayOfCommandsIsChecked(t *testing.T) {
	t.Parallel()
	s := openStation(t)
	d, other := s.register(t, device.Gateway), s.register(t, device.Gateway)
	c := s.send(t, device.SendInput{DeviceID: d.ID})
	for _, m := range []device.UpMessage{
		{DeviceID: d.ID, Topic: device.UpCommandAck, Payload: []byte(`{`)},
		{DeviceID: d.ID, Topic: device.UpCommandAck, Payload: []byte(`{"id":"x"}`)},
		{DeviceID: d.ID, Topic: device.UpCommandAck, Payload: []byte(`{"id":"` + ids.New(ids.Command) + `"}`)},
		{DeviceID: d.ID, Topic: device.UpCommandResult, Payload: []byte(`{"id":"` + c.ID + `"}`)},
		{DeviceID: d.ID, Topic: device.UpCommandResult, Payload: []byte("{\"id\":\"" + c.ID + "\",\"ok\":true,\"result\":\"\xff\"}")},
		{DeviceID: other.ID, Topic: device.UpCommandResult, Payload: []byte(`{"id":"` + c.ID + `","ok":true}`)},
	} {
		if err := s.Take(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if events := s.events(t, m.DeviceID); events[0].Type != device.Refused {
			t.Errorf("%s was not refused", m.Payload)
		}
	}
	if got := s.command(t, c.ID); got.Status != device.Sent {
		t.Errorf("the command is %s", got.Status)
	}
}

func TestLogsAreBounded(t *testing.T) {
	t.Parallel()
	s := openStation(t)
	d := s.register(t, device.Gateway)
	for name, line := range map[string]string{"lines": "x", "bytes": strings.Repeat("ü", 3_000)} {
		c := s.send(t, device.SendInput{DeviceID: d.ID})
		for i := range 11 {
			var lines []string
			for j := range 100 {
				lines = append(lines, fmt.Sprintf(`{"text":"%d %s"}`, 100*i+j, line))
			}
			for _, part := range [][]string{lines[:10], lines[10:20], lines[20:]} {
				if name == "bytes" {
					part = part[:10]
				}
				s.hear(t, d.ID, device.UpCommandLog, `{"id":%q,"lines":[%s]}`, c.ID, strings.Join(part, ","))
			}
		}
		kept, err := s.BatchGetCommandLogs(as(t, caller.Operator), []string{c.ID}, 1000)
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
	s := openStation(t)
	d := s.register(t, device.Gateway)
	key := caller.Caller{AccountID: "account_1", APIKeyID: "apikey_1", Role: caller.Member, Scopes: []string{caller.DeviceCommand}}
	good := device.SendInput{DeviceID: d.ID, Name: "reboot"}
	with := func(change func(in *device.SendInput)) device.SendInput {
		in := good
		change(&in)
		return in
	}
	cases := []struct {
		name string
		ctx  context.Context
		in   device.SendInput
		want errs.Code
	}{
		{"nobody", t.Context(), good, errs.Unauthenticated},
		{"a member", as(t, caller.Member), good, errs.PermissionDenied},
		{"a member's key", caller.NewContext(t.Context(), key), good, errs.PermissionDenied},
		{"no name", as(t, caller.Operator), with(func(in *device.SendInput) { in.Name = " " }), errs.InvalidArgument},
		{"no object", as(t, caller.Operator), with(func(in *device.SendInput) { in.Arguments = "[]" }), errs.InvalidArgument},
		{"null", as(t, caller.Operator), with(func(in *device.SendInput) { in.Arguments = "null" }), errs.InvalidArgument},
		{"a long object", as(t, caller.Operator), with(func(in *device.SendInput) { in.Arguments = `{"a":"` + strings.Repeat("x", 17_000) + `"}` }), errs.InvalidArgument},
		{"no time", as(t, caller.Operator), with(func(in *device.SendInput) { in.Timeout = time.Millisecond }), errs.InvalidArgument},
		{"a queue into the past", as(t, caller.Operator), with(func(in *device.SendInput) { in.QueueUntil = inPast() }), errs.InvalidArgument},
		{"no such device", as(t, caller.Operator), with(func(in *device.SendInput) { in.DeviceID = ids.New(ids.Device) }), errs.NotFound},
	}
	for _, c := range cases {
		if _, err := s.Send(c.ctx, c.in); errs.From(err) == nil || errs.From(err).Code != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	c := s.send(t, good)
	if _, err := s.Cancel(as(t, caller.Member), c.ID); errs.From(err).Code != errs.PermissionDenied {
		t.Errorf("a member cancels: %v", err)
	}
	if found, err := s.BatchGetCommands(as(t, caller.Member), []string{c.ID}); err != nil || len(found) != 0 {
		t.Errorf("a member sees %v, %v", found, err)
	}
	limited := caller.NewContext(t.Context(), caller.Caller{
		AccountID: "account_1", APIKeyID: "apikey_1", Role: caller.Admin, Scopes: caller.ScopesOf(caller.Admin), DeviceLabels: map[string]string{"site": "north"},
	})
	_, sendErr := s.Send(limited, good)
	_, cancelErr := s.Cancel(limited, c.ID)
	found, err := s.BatchGetCommands(limited, []string{c.ID})
	if errs.From(sendErr).Code != errs.NotFound || errs.From(cancelErr).Code != errs.NotFound || err != nil || len(found) != 0 {
		t.Errorf("a key that is limited to others: %v, %v, %v %v", sendErr, cancelErr, found, err)
	}
	for range 99 {
		s.send(t, good)
	}
	if _, err := s.Send(as(t, caller.Operator), good); errs.From(err).Reason != device.ReasonTooManyCommands {
		t.Errorf("the 101st: %v", err)
	}
}

func inPast() *time.Time { return in(-time.Second) }

func TestARepeatedSendIsOneCommand(t *testing.T) {
	t.Parallel()
	s := openStation(t)
	d := s.register(t, device.Gateway)
	first := s.send(t, device.SendInput{DeviceID: d.ID, IdempotencyKey: "k"})
	again := s.send(t, device.SendInput{DeviceID: d.ID, IdempotencyKey: "k"})
	if again.ID != first.ID || len(s.radio.take()) != 1 {
		t.Errorf("got %s, then %s", first.ID, again.ID)
	}
}
