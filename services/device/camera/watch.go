// Package camera moves cameras, takes images and streams.
//
// A camera streams while it has viewers. A viewer has a lease that it renews. Limits per caller and per camera bound
// the starts. The state is decided while the camera's row is locked, and names its next command before that command
// exists: after a crash between both, the command is created, and only once.
package camera

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
)

// Service has the use cases. It is safe for concurrent use.
type Service struct {
	store    Store
	clock    clock.Clock
	commands *command.Service
	rules    Rules
}

// New returns a Service over a store.
func New(store Store, clock clock.Clock, commands *command.Service, rules Rules) *Service {
	return &Service{store: store, clock: clock, commands: commands, rules: rules.withDefaults()}
}

// The commands of cameras, which sendCommand refuses.
const (
	commandStartStream  = "startStream"
	commandStopStream   = "stopStream"
	commandMoveCamera   = "moveCamera"
	commandTakeSnapshot = "takeSnapshot"
)

const (
	startTimeout = 20 * time.Second
	stopTimeout  = 20 * time.Second
)

// StreamInput names a viewer and a camera.
type StreamInput struct {
	DeviceID string
	Viewer   string // distinguishes viewers of one caller; "" for the caller itself
}

// StartStream makes the caller a viewer of a camera's stream, or renews its lease. Only the first viewer causes a
// command. STREAM_FLAPPING with a RetryAfter for a caller that calls too often, and for a stream that started too
// often.
func (s *Service) StartStream(ctx context.Context, in StreamInput) (StreamView, error) {
	who, d, err := s.camera(ctx, caller.CameraView, in.DeviceID)
	if err != nil {
		return StreamView{}, err
	}
	if err := input.Line("viewer", in.Viewer, maxViewerName); err != nil {
		return StreamView{}, err
	}
	v := Viewer{Caller: who.Name(), Name: in.Viewer}
	join := func(d device.Device, st Stream, now time.Time) (Stream, error) {
		st, err := st.called(v.Caller, now, s.rules)
		if err != nil {
			return st, err
		}
		return st.joined(v, d, now, s.rules)
	}
	if err := s.tryOut(ctx, d, join); err != nil {
		return StreamView{}, err // refused without a write
	}
	st, err := s.changeStream(ctx, who, in.DeviceID, join)
	return st.viewedBy(v, s.clock.Now()), err
}

// StopStream removes the viewer. Without viewers the stream stops after Rules.Linger.
func (s *Service) StopStream(ctx context.Context, in StreamInput) (StreamView, error) {
	who, _, err := s.camera(ctx, caller.CameraView, in.DeviceID)
	if err != nil {
		return StreamView{}, err
	}
	v := Viewer{Caller: who.Name(), Name: in.Viewer}
	found, err := s.store.GetStreams(ctx, []string{in.DeviceID})
	if err != nil {
		return StreamView{}, err
	}
	for _, st := range found {
		if _, watches := st.left(v); !watches {
			return st.viewedBy(v, s.clock.Now()), nil
		}
	}
	st, err := s.changeStream(ctx, who, in.DeviceID, func(_ device.Device, st Stream, _ time.Time) (Stream, error) {
		st, _ = st.left(v)
		return st, nil
	})
	return st.viewedBy(v, s.clock.Now()), err
}

// StreamView is a stream from the perspective of a viewer.
type StreamView struct {
	Stream
	Watching   int        // number of viewers
	LeaseUntil *time.Time // of this viewer; nil if it is none
}

func (st Stream) viewedBy(v Viewer, now time.Time) StreamView {
	view := StreamView{Stream: st}
	for _, other := range st.Viewers {
		if !other.Until.After(now) {
			continue
		}
		view.Watching++
		if other.Caller == v.Caller && other.Name == v.Name {
			view.LeaseUntil = &other.Until
		}
	}
	return view
}

// BatchGetStreams returns the streams of the cameras that the caller may see. For staff.
func (s *Service) BatchGetStreams(ctx context.Context, deviceIDs []string) ([]StreamView, error) {
	devices, err := device.VisibleToStaff(ctx, s.store, deviceIDs)
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	var cameras []string
	for _, d := range devices {
		if d.Kind == device.Camera {
			cameras = append(cameras, d.ID)
		}
	}
	if len(cameras) == 0 {
		return nil, nil
	}
	found, err := s.store.GetStreams(ctx, cameras)
	if err != nil {
		return nil, err
	}
	views, now := make([]StreamView, len(found)), s.clock.Now()
	for i, st := range found {
		views[i] = st.viewedBy(Viewer{Caller: caller.FromContext(ctx).Name()}, now)
	}
	return views, nil
}

func (s *Service) camera(ctx context.Context, scope, id string) (caller.Caller, device.Device, error) {
	who, err := device.MayOperate(ctx, scope)
	if err != nil {
		return caller.Caller{}, device.Device{}, err
	}
	if err := device.CheckID("deviceId", id); err != nil {
		return caller.Caller{}, device.Device{}, err
	}
	found, err := device.Visible(ctx, s.store, who, "deviceId", []string{id})
	if err != nil {
		return caller.Caller{}, device.Device{}, err
	}
	if len(found) == 0 {
		return caller.Caller{}, device.Device{}, device.Missing(id)
	}
	if found[0].Kind != device.Camera {
		return caller.Caller{}, device.Device{}, errs.New(errs.InvalidArgument, ReasonNotACamera, "%s is no camera", id)
	}
	return who, found[0], nil
}

// tryOut returns the error of the change on the current state, without a write.
func (s *Service) tryOut(ctx context.Context, d device.Device, change func(device.Device, Stream, time.Time) (Stream, error)) error {
	found, err := s.store.GetStreams(ctx, []string{d.ID})
	if err != nil || len(found) == 0 {
		return err
	}
	_, err = change(d, found[0], s.clock.Now())
	return err
}

func (s *Service) changeStream(ctx context.Context, who caller.Caller, id string, change func(device.Device, Stream, time.Time) (Stream, error)) (Stream, error) {
	now := s.clock.Now()
	st, err := s.store.ChangeStream(ctx, id, func(d device.Device, st Stream, c *command.Command) (*StreamChange, error) {
		if !device.Sees(who, d) {
			return nil, device.Missing(id)
		}
		changed, err := change(d, st.answered(c, now).pruned(now, s.rules), now)
		if err != nil {
			return nil, err
		}
		return streamChange(who.Name(), st, changed.advanced(d, nil, now, s.rules), now)
	})
	if err != nil {
		return Stream{}, fmt.Errorf("change stream: %w", err)
	}
	if _, err := s.drive(ctx, st); err != nil {
		return st, nil // the Reconciler retries
	}
	return st, nil
}

type streamDetails struct {
	From      StreamState `json:"from"`
	To        StreamState `json:"to"`
	Viewers   int         `json:"viewers"`
	CommandID string      `json:"commandId,omitempty"`
	Reason    string      `json:"reason,omitempty"`
}

func streamChange(actor string, before, after Stream, now time.Time) (*StreamChange, error) {
	change := &StreamChange{Stream: after}
	if before.State == after.State && before.CommandID == after.CommandID {
		return change, nil
	}
	what, words := StreamChanged, "the stream is "+strings.ToLower(string(after.State))
	if before.State == StreamStopping && after.Reason != "" {
		what, words = StreamNotStopped, "the camera did not say that it stopped its stream"
	}
	e, err := device.Noted(after.DeviceID, now, what, words, actor, streamDetails{
		From: before.State, To: after.State, Viewers: len(after.Viewers), CommandID: after.CommandID, Reason: after.Reason,
	})
	change.Events = []device.Event{e}
	return change, err
}

// Attend runs the due tasks of a stream.
func (s *Service) Attend(ctx context.Context, id string) error {
	now := s.clock.Now()
	st, err := s.store.ChangeStream(ctx, id, func(d device.Device, st Stream, c *command.Command) (*StreamChange, error) {
		return streamChange("system", st, st.advanced(d, c, now, s.rules), now)
	})
	if err != nil {
		return fmt.Errorf("attend to the stream of %s: %w", id, err)
	}
	_, err = s.drive(ctx, st)
	return err
}

// drive sends the command that the state names. It is idempotent across processes.
func (s *Service) drive(ctx context.Context, st Stream) (command.Command, error) {
	now := s.clock.Now()
	var name string
	var until *time.Time
	timeout := startTimeout
	switch st.State {
	case StreamStarting:
		name = commandStartStream
	case StreamStopping:
		by := now.Add(stopTimeout) // the camera may be away for a moment
		name, timeout, until = commandStopStream, stopTimeout, &by
	default:
		return command.Command{}, nil
	}
	return s.commands.Start(ctx, command.Target{DeviceID: st.DeviceID, CommandID: st.CommandID, Now: now}, st.By, func(t *command.Decision) (command.Command, error) {
		if t.Command != nil {
			return *t.Command, nil
		}
		c := command.NewCommand(st.DeviceID, name, "{}", st.By, timeout, until, now)
		c.ID = st.CommandID
		return c, nil
	})
}

// Answered updates a stream whose command has ended.
func (s *Service) Answered(ctx context.Context, deviceID, commandID string) error {
	found, err := s.store.GetStreams(ctx, []string{deviceID})
	if err != nil || len(found) == 0 || found[0].CommandID != commandID {
		return err
	}
	return s.Attend(ctx, deviceID)
}
