package command

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/services/device"
)

// Late is the event of a result of a finished command.
const Late device.EventType = "COMMAND_LATE"

// maxLines bounds the lines of one message.
const maxLines = 200

type ackMessage struct {
	ID string `json:"id"`
}

type resultMessage struct {
	ID     string          `json:"id"`
	OK     *bool           `json:"ok"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
}

type logMessage struct {
	ID    string `json:"id"`
	Lines []lineMessage
	lineMessage
}

type lineMessage struct {
	At     *device.Moment `json:"at"`
	Stream string         `json:"stream"`
	Text   string         `json:"text"`
}

func readAnswer(m device.UpMessage, to any, id *string) error {
	if err := json.Unmarshal(m.Payload, to); err != nil {
		return errs.Invalid("payload", "is not what %s takes", m.Topic).Because(err)
	}
	return input.ID("id", ids.Command, *id)
}

func (s *Service) answer(ctx context.Context, m device.UpMessage, id string, decide func(t *Decision, c Command) error) error {
	now := s.clock.Now()
	_, err := s.store.Decide(ctx, Target{DeviceID: m.DeviceID, CommandID: id, Now: now}, func(at State) (Changes, error) {
		if at.Command == nil {
			return Changes{}, errs.Missing("command", id)
		}
		t := &Decision{State: at, Now: now, Actor: m.DeviceID}
		return t.Done(decide(t, *at.Command))
	})
	if err != nil {
		return fmt.Errorf("take an answer: %w", err)
	}
	return nil
}

// HandleAck handles commands/ack: the device has received the command.
func (s *Service) HandleAck(ctx context.Context, m device.UpMessage) error {
	var said ackMessage
	if err := readAnswer(m, &said, &said.ID); err != nil {
		return err
	}
	return s.answer(ctx, m, said.ID, func(t *Decision, c Command) error {
		switch {
		case c.AcknowledgedAt != nil || c.Status == Succeeded || c.Status == Failed && c.Reason == ReasonFailed:
			return nil // a redelivery, or later than the result
		case !c.Status.Open():
			return over(c)
		}
		return t.Update(c.acknowledged(t.Now))
	})
}

// HandleResult handles commands/result: the device has executed the command, or failed to.
func (s *Service) HandleResult(ctx context.Context, m device.UpMessage) (commandID string, err error) {
	var said resultMessage
	if err := readAnswer(m, &said, &said.ID); err != nil {
		return "", err
	}
	if said.OK == nil {
		return "", errs.Invalid("ok", "is missing")
	}
	return said.ID, s.answer(ctx, m, said.ID, func(t *Decision, c Command) error {
		if !c.Status.Open() {
			return t.late(c, *said.OK, s.pace.May(m.DeviceID, lateRate(), t.Now))
		}
		return t.Update(said.applied(c, t.Now))
	})
}

func (said resultMessage) applied(c Command, now time.Time) Command {
	if c.SentAt == nil { // sent before a crash, without the mark
		c.SentAt = &now
	}
	if !*said.OK {
		words := clipped(c.redacted(said.Error), 4*maxCommandError)
		if words == "" {
			words = "the device did not say why"
		}
		return c.failed(ReasonFailed, words, now)
	}
	switch {
	case len(said.Result) > maxResult:
		c.Reason, c.Error = ReasonResultTooLarge, fmt.Sprintf("the result has %d bytes, more than %d, and is not stored", len(said.Result), maxResult)
	case string(said.Result) != "null":
		c.Result = c.redacted(string(said.Result))
	}
	return c.Ended(Succeeded, now)
}

func lateRate() device.Rate { return device.Rate{AtOnce: 60, AMinute: 6} }

// late notes a result of a finished command, if mayNote, and changes nothing. But an unlock that succeeded after its
// timeout means that the vehicle is open.
func (t *Decision) late(c Command, ok, mayNote bool) error {
	if mayNote {
		err := t.note(Late, fmt.Sprintf("answered command %s, which was %s", c.ID, c.Status),
			lateData{CommandID: c.ID, Name: c.Name, Status: c.Status, OK: ok})
		if err != nil {
			return err
		}
	}
	if !ok || c.Status == Succeeded || c.Name != device.CommandUnlock || t.Device.Lock == nil {
		return nil
	}
	return t.Doubt(c.ID)
}

type lateData struct {
	CommandID string `json:"commandId"`
	Name      string `json:"name"`
	Status    Status `json:"status"`
	OK        bool   `json:"ok"`
}

// HandleLog handles commands/log: lines that the device logs while it runs the command.
func (s *Service) HandleLog(ctx context.Context, m device.UpMessage) error {
	var said logMessage
	if err := readAnswer(m, &said, &said.ID); err != nil {
		return err
	}
	lines := said.Lines
	if lines == nil {
		lines = []lineMessage{said.lineMessage}
	}
	if len(lines) > maxLines {
		return errs.Invalid("lines", "are more than %d", maxLines)
	}
	return s.answer(ctx, m, said.ID, func(t *Decision, c Command) error {
		if !c.Status.Open() {
			return over(c)
		}
		t.log(c, lines, m.ArrivedAt)
		return nil
	})
}

// log stores lines up to the limits of number and bytes, and then one line that reports the limit.
func (t *Decision) log(c Command, lines []lineMessage, arrived time.Time) {
	for _, said := range lines {
		if c.LogLines > maxLogLines || c.LogBytes > maxLogBytes {
			break
		}
		line := LogLine{
			CommandID: c.ID, DeviceID: c.DeviceID, Ordinal: c.LogLines + 1, At: said.at(arrived, t.Now),
			Stream: clipped(said.Stream, maxStream), Text: clipped(c.redacted(said.Text), maxLineBytes),
		}
		c.LogLines++
		c.LogBytes += int64(len(line.Text))
		if c.LogLines > maxLogLines || c.LogBytes > maxLogBytes {
			line.Stream, line.Text = "sluice", "later lines are not stored: the log is full"
		}
		t.changes.Lines = append(t.changes.Lines, line)
	}
	t.changes.Answer = c
	if len(t.changes.Lines) > 0 {
		t.changes.Logged = &c
	}
}

// at returns the time of the line; the time of arrival if the device sent none or an impossible one.
func (said lineMessage) at(arrived, now time.Time) time.Time {
	if arrived.IsZero() {
		arrived = now
	}
	at, err := said.At.Checked("at", arrived)
	if err != nil {
		at = arrived
	}
	return at.UTC().Truncate(time.Microsecond)
}

// clipped returns the first bytes of the text as valid UTF-8 without NUL.
func clipped(text string, most int) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", "\uFFFD"), "\uFFFD")
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}
