// Package uplink dispatches messages of devices to the handlers of their topics, and notes refused messages in the
// events of the device.
//
// A message is handled at least once. Repeats have no effect, except that a reported event may be noted twice.
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

// Store persists what devices report.
type Store interface {
	// Observe publishes positions of a device, and stores the latest one if it is later than the stored one. The
	// version is unchanged. For an unknown device nothing is published.
	Observe(ctx context.Context, deviceID string, positions []device.Position, arrived time.Time) error

	// Report replaces the reported state and firmware. The version is unchanged; a change is published.
	Report(ctx context.Context, deviceID string, state ReportedState, arrived time.Time) error

	// Group runs change in one transaction, which all writes of a store under its context join. A failed write is
	// rolled back alone. change may run twice.
	Group(ctx context.Context, change func(ctx context.Context) error) error

	// Note stores an event of an existing device, and does not change the device.
	Note(ctx context.Context, e device.Event) error
}

// Count counts the outcome of messages by topic: taken, refused or failed.
type Count func(topic device.UpTopic, outcome string, n int)

// Service has the use cases. It is safe for concurrent use.
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

// topicHandler handles a message. An error by the device's fault (INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION,
// ALREADY_EXISTS, PERMISSION_DENIED) refuses it: it is noted in the device's events and not retried. After a partial
// error all items but the named ones are stored. After any other error the message is retried, so a handler must be
// idempotent.
type topicHandler func(ctx context.Context, m device.UpMessage) error

// Outcome is the result of one message. Zero means stored.
type Outcome struct {
	Err     error       // it could not be stored now, and may be retried
	Refused *errs.Error // refused for good, and noted in the device's events
	Partial bool        // Refused names the refused items; the others are stored
}

// The reasons of refused topics.
const (
	ReasonForeignTopic = "TOPIC_OF_ANOTHER_DEVICE"
	ReasonUnknownTopic = "TOPIC_UNKNOWN"
)

// topicHandlers has the handler of each topic but telemetry, which HandleAll stores together. Other topics are
// refused.
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

// handleResult also updates the stream that waits for the command, after the commit. After a crash the due tasks of
// the camera do it.
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

// welcomer runs the pending tasks of a device that has connected. It must be idempotent.
type welcomer func(ctx context.Context, deviceID string) error

// welcomers deliver the desired configuration and queued commands.
func (s *Service) welcomers() []welcomer {
	return []welcomer{s.handlers.Commands.SendWaiting, s.handlers.Vehicles.Hurry, s.handlers.Twins.Welcome}
}

// HandleAll handles messages in one transaction, and returns the outcome of each. A failed message does not fail the
// others. An error of the transaction fails all.
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

// parsed is a message of telemetry; err names refused items, or refuses the message.
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
	var refused []error
	var together error
	if len(recordings) > 0 {
		refused, together = s.handlers.Telemetry.RecordAll(ctx, recordings)
	}
	for i, p := range readings {
		if len(p.recording.Readings) == 0 && p.err == nil {
			continue // not telemetry
		}
		failure := p.err
		if len(p.recording.Readings) > 0 {
			own := refused
			if together != nil {
				var err error
				if own, err = s.handlers.Telemetry.RecordAll(ctx, []telemetry.Recording{p.recording}); err != nil {
					own = []error{err}
				}
			} else {
				refused = refused[1:]
			}
			if own[0] != nil {
				failure = own[0]
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

// Handle handles one message: see HandleAll. nil means stored, or refused and noted. An error means not stored.
func (s *Service) Handle(ctx context.Context, m device.UpMessage) error {
	return s.HandleAll(ctx, []device.UpMessage{m})[0].Err
}

func (s *Service) handleOne(ctx context.Context, m device.UpMessage) Outcome {
	handle, known := s.topics[m.Topic]
	if !known || m.Foreign {
		handle = s.refuseTopic
	}
	err := checkPayload(m)
	if err == nil && m.Topic != device.UpPosition { // its items are checked alone
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

// blamesDevice reports whether a retry would be refused again.
func blamesDevice(err error) bool {
	return errs.Final(err) || errs.From(err).Code == errs.PermissionDenied
}

// Welcome runs the pending tasks of a device that has connected. A failed one does not stop the others.
func (s *Service) Welcome(ctx context.Context, deviceID string) error {
	var failures []error
	for _, welcome := range s.welcomes {
		failures = append(failures, welcome(ctx, deviceID))
	}
	return errors.Join(failures...)
}
