// Package uplink takes what devices say: it reads each message, refuses what cannot be read and notes why,
// and hands it to the room that it is for.
//
// A message of a device is handled at least once, and handling it again changes nothing more; but an
// event that it reports may then be noted twice.
package uplink

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/camera"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/telemetry"
	"github.com/sluicehq/sluice/services/device/twin"
	"github.com/sluicehq/sluice/services/device/vehicle"
)

// Handlers process messages, by topic.
type Handlers struct {
	Telemetry *telemetry.Service
	Commands  *command.Service
	Vehicles  *vehicle.Service
	Cameras   *camera.Service
	Twins     *twin.Service
}

// Store stores what devices say of themselves.
type Store interface {
	// Observe tells others where a device was, and stores the latest of the positions when it is later
	// than the one that is known. The version stays. For a device that does not exist nothing is published.
	Observe(ctx context.Context, deviceID string, positions []device.Position, now time.Time) error

	// Report stores the board that a device reported and its firmware, in place of what is known. The
	// version is unchanged; a change is published.
	Report(ctx context.Context, deviceID string, state ReportedState, now time.Time) error

	// Group runs change in one transaction, which every write of a store under its context joins. A write that fails
	// is rolled back alone. change may run twice.
	Group(ctx context.Context, change func(ctx context.Context) error) error

	// Note writes down what happened to a device and leaves the device as it is. Of a device that is
	// not there, nothing is written.
	Note(ctx context.Context, e device.Event) error
}

// Count counts the outcome of messages by topic: taken, refused or failed.
type Count func(topic device.UpTopic, outcome string, n int)

// Service is the use cases. It is safe for concurrent use.
type Service struct {
	store    Store
	clock    clock.Clock
	handlers Handlers
	count    Count
	pace     *device.Pace
	topics   map[device.UpTopic]topicHandler
	welcomes []welcomer
}

// New returns a Service over a store.
func New(store Store, clock clock.Clock, handlers Handlers, count Count) *Service {
	s := &Service{store: store, clock: clock, handlers: handlers, count: count, pace: device.NewPace()}
	s.topics, s.welcomes = s.topicHandlers(), s.welcomers()
	return s
}

// topicHandler processes a message. An error that is the device's fault (INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION,
// ALREADY_EXISTS, PERMISSION_DENIED) refuses the message: it is noted in the device's event log and is not retried.
// After a partial error the message is taken but for the items that the error names. After any other error the message
// is retried, so a taker must be idempotent.
type topicHandler func(ctx context.Context, m device.UpMessage) error

// Outcome is the result of one message. The zero Outcome: it is stored.
type Outcome struct {
	Err     error       // it could not be stored now, and may be retried
	Refused *errs.Error // it is refused for good, which is noted in the device's events
	Partial bool        // of several items some were refused: Refused names them, the others are stored
}

// The reasons of messages that are refused for their topic.
const (
	ReasonForeignTopic = "TOPIC_OF_ANOTHER_DEVICE"
	ReasonUnknownTopic = "TOPIC_UNKNOWN"
)

// topicHandlers are the handlers by topic, but for telemetry, which HandleAll stores together. A topic without a row is refused.
func (s *Service) topicHandlers() map[device.UpTopic]topicHandler {
	return map[device.UpTopic]topicHandler{
		device.UpPosition:       s.handlePositions,
		device.UpState:          s.handleState,
		device.UpEvents:         s.handleEvent,
		device.UpCommandAck:     s.handlers.Commands.HandleAck,
		device.UpCommandLog:     s.handlers.Commands.HandleLog,
		device.UpCommandResult:  s.handleResult,
		device.UpConfigReported: s.handlers.Twins.HandleReport,
	}
}

// handleResult also updates the stream that waits for the command, after the commit: the due tasks of the camera do it
// when a crash prevents that.
func (s *Service) handleResult(ctx context.Context, m device.UpMessage) error {
	commandID, err := s.handlers.Commands.HandleResult(ctx, m)
	if err != nil {
		return err
	}
	device.Defer(ctx, func(ctx context.Context) { _ = s.handlers.Cameras.Answered(ctx, m.DeviceID, commandID) })
	return nil
}

func (s *Service) refuseTopic(_ context.Context, m device.UpMessage) error {
	if m.Foreign {
		return errs.New(errs.PermissionDenied, ReasonForeignTopic, "topic: %.80q is not a topic of this device", m.Topic)
	}
	return errs.New(errs.InvalidArgument, ReasonUnknownTopic, "topic: %.80q is not a topic that devices publish to", m.Topic)
}

// welcomer does what a device that has just connected waits for. It may be called again for the same
// connection, and for a device that was there all the time.
type welcomer func(ctx context.Context, deviceID string) error

// welcomers says what is done for a device that is there again: desired configuration, queued commands.
func (s *Service) welcomers() []welcomer {
	return []welcomer{s.handlers.Commands.SendWaiting, s.handlers.Vehicles.Hurry, s.handlers.Twins.Welcome}
}

// HandleAll processes messages of devices in one transaction, and returns the outcome of each. A message that fails
// does not fail the others. An error of the transaction is the outcome of all of them.
func (s *Service) HandleAll(ctx context.Context, messages []device.UpMessage) []Outcome {
	readings := make([]parsed, len(messages))
	for i, m := range messages {
		if m.Topic == device.UpTelemetry && !m.Foreign {
			readings[i].recording, readings[i].err = readRecording(m)
		}
	}
	outcomes := make([]Outcome, len(messages))
	deferring, run := device.WithDeferred(ctx)
	err := s.store.Group(deferring, func(ctx context.Context) error {
		s.handleReadings(ctx, messages, readings, outcomes)
		for i, m := range messages {
			if m.Topic != device.UpTelemetry || m.Foreign {
				outcomes[i] = s.handleOne(ctx, m)
			}
		}
		return ctx.Err()
	})
	for i, m := range messages {
		if err != nil {
			outcomes[i] = Outcome{Err: err}
		}
		s.countOutcome(m, outcomes[i])
	}
	if err == nil {
		run(ctx)
	}
	return outcomes
}

// parsed is a message of telemetry; err names items that were refused, or refuses the message.
type parsed struct {
	recording telemetry.Recording
	err       error
}

func (s *Service) handleReadings(ctx context.Context, messages []device.UpMessage, readings []parsed, outcomes []Outcome) {
	var recordings []telemetry.Recording
	for _, p := range readings {
		if len(p.recording.Readings) > 0 {
			recordings = append(recordings, p.recording)
		}
	}
	var together error
	if len(recordings) > 0 {
		together = s.handlers.Telemetry.RecordAll(ctx, recordings)
	}
	for i, p := range readings {
		if len(p.recording.Readings) == 0 && p.err == nil {
			continue // not telemetry
		}
		failure := p.err
		if together != nil && len(p.recording.Readings) > 0 {
			if err := s.handlers.Telemetry.RecordAll(ctx, []telemetry.Recording{p.recording}); err != nil {
				failure = err
			}
		}
		outcomes[i] = s.settle(ctx, messages[i], failure)
	}
}

func readRecording(m device.UpMessage) (telemetry.Recording, error) {
	if err := checkPayload(m); err != nil {
		return telemetry.Recording{}, err
	}
	readings, err := readReadings(m)
	return telemetry.Recording{DeviceID: m.DeviceID, Readings: readings, ArrivedAt: m.ArrivedAt}, err
}

// Handle processes one message of a device: see HandleAll. nil: it is stored, or refused and noted in the device's event
// log. An error: it could not be stored now.
func (s *Service) Handle(ctx context.Context, m device.UpMessage) error {
	return s.HandleAll(ctx, []device.UpMessage{m})[0].Err
}

func (s *Service) handleOne(ctx context.Context, m device.UpMessage) Outcome {
	handle, known := s.topics[m.Topic]
	if !known || m.Foreign {
		handle = s.refuseTopic
	}
	err := checkPayload(m)
	if err == nil && m.Topic != device.UpPosition { // of whose items each is checked
		err = checkNumbers(m.Payload)
	}
	if err == nil {
		err = handle(ctx, m)
	}
	return s.settle(ctx, m, err)
}

func (s *Service) settle(ctx context.Context, m device.UpMessage, err error) Outcome {
	if err == nil {
		return Outcome{}
	}
	if !blamesDevice(err) {
		return Outcome{Err: err}
	}
	_, partial := errors.AsType[*partialError](err)
	refused := errs.From(err)
	return Outcome{Refused: refused, Partial: partial, Err: s.refuse(ctx, m, refused)}
}

func (s *Service) countOutcome(m device.UpMessage, outcome Outcome) {
	topic := m.Topic
	if _, known := s.topics[topic]; m.Foreign || !known && topic != device.UpTelemetry {
		topic = "other"
	}
	switch {
	case outcome.Err != nil:
		s.count(topic, "failed", 1)
	case outcome.Refused != nil && !outcome.Partial:
		s.count(topic, "refused", 1)
	default:
		s.count(topic, "taken", 1)
	}
}

func checkPayload(m device.UpMessage) error {
	if len(m.Payload) > device.MaxPayload {
		return errs.Invalid("payload", "has %d bytes, more than %d", len(m.Payload), device.MaxPayload)
	}
	if !utf8.Valid(m.Payload) {
		return errs.Invalid("payload", "is not UTF-8")
	}
	return checkShape(m.Payload)
}

// blamesDevice reports whether sending the message again would be refused again.
func blamesDevice(err error) bool {
	return errs.FaultOf(err) == errs.FaultInput || errs.From(err).Code == errs.PermissionDenied
}

// Welcome does for a device that has just connected what it waits for. One welcomer that fails does
// not keep the others.
func (s *Service) Welcome(ctx context.Context, deviceID string) error {
	var failures []error
	for _, welcome := range s.welcomes {
		failures = append(failures, welcome(ctx, deviceID))
	}
	return errors.Join(failures...)
}
