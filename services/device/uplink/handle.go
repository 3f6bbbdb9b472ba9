package uplink

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/services/device"
)

// Reported is the type of an event that the device reports.
const Reported device.EventType = "REPORTED"

func (s *Service) handlePositions(ctx context.Context, m device.UpMessage) error {
	positions, partial := readPositions(m)
	if len(positions) > 0 {
		if err := s.store.Observe(ctx, m.DeviceID, positions, s.arrival(m)); err != nil {
			return err
		}
	}
	return partial
}

// arrival returns when the message arrived. A ride that has ended before it is stored still conceals it.
func (s *Service) arrival(m device.UpMessage) time.Time {
	if m.ArrivedAt.IsZero() {
		return s.clock.Now()
	}
	return m.ArrivedAt
}

// ReportedState is the state that a device reported.
type ReportedState struct {
	Board    string // a JSON object: cpu, memory, signal, …
	Firmware string // "" if not reported
}

func (s *Service) handleState(ctx context.Context, m device.UpMessage) error {
	var known struct {
		Firmware string `json:"firmware"`
	}
	if first := bytes.TrimLeft(m.Payload, " \t\r\n"); len(first) == 0 || first[0] != '{' {
		return errs.Invalid("payload", "must be a JSON object")
	}
	if err := decode(m.Payload, &known); err != nil {
		return err
	}
	if err := input.Line("firmware", known.Firmware, device.MaxName); err != nil {
		return err
	}
	var board bytes.Buffer
	if err := json.Compact(&board, m.Payload); err != nil {
		return errs.Invalid("payload", "is not JSON")
	}
	if err := s.store.Report(ctx, m.DeviceID, ReportedState{Board: board.String(), Firmware: known.Firmware}, s.arrival(m)); err != nil {
		return err
	}
	return s.handlers.Vehicles.HandleLockState(ctx, m)
}

// happening is the payload of an event.
type happening struct {
	At      *device.Moment  `json:"at"`
	Type    string          `json:"type"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

const maxMessage = 1_000 // characters

// Note implements the listener's notes: it adds an event to the device, if it exists.
func (s *Service) Note(ctx context.Context, e device.Event) error { return s.store.Note(ctx, e) }

// handleEvent stores an event of the device, up to a rate.
func (s *Service) handleEvent(ctx context.Context, m device.UpMessage) error {
	var h happening
	if err := decode(m.Payload, &h); err != nil {
		return err
	}
	if err := input.Name("type", h.Type, device.MaxLabelKey); err != nil {
		return err
	}
	if err := input.Line("message", h.Message, maxMessage); err != nil {
		return err
	}
	at, err := h.At.Checked("at", m.ArrivedAt)
	if err != nil {
		return err
	}
	if !s.pace.May(m.DeviceID, device.Rate{AtOnce: reportsAMinute, AMinute: reportsAMinute}, s.clock.Now()) {
		return errs.Invalid("payload", "has more than %d events a minute", reportsAMinute)
	}
	e, err := device.Noted(m.DeviceID, s.clock.Now(), Reported, h.Type+": "+h.Message, m.DeviceID,
		map[string]any{"type": h.Type, "at": at, "data": h.Data})
	if err != nil {
		return err
	}
	return s.store.Note(ctx, e)
}
