package device

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
)

// The commands that drive a camera. They are sent by use cases of their own, which no sendCommand gets
// around.
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

// StreamChange is a stream as it shall be kept, and what happened.
type StreamChange struct {
	Stream Stream
	Events []Event
}

// Streams is the part of a Store that keeps streams. A device that was never streamed from has one
// too: it is STOPPED.
type Streams interface {
	// ChangeStream lets decide say what becomes of the stream and keeps it; nil leaves it as it is.
	// Command is the one that the stream names, or nil. Of one device, changes happen one after
	// another. decide may be called again, so it must not act. NOT_FOUND when there is no such device.
	ChangeStream(ctx context.Context, deviceID string, decide func(d Device, st Stream, c *Command) (*StreamChange, error)) (Stream, error)

	// GetStreams gives the streams of those of the devices that there are, in any order.
	GetStreams(ctx context.Context, deviceIDs []string) ([]Stream, error)

	// DueStreams gives devices whose stream is to be looked after at now, the most urgent first.
	DueStreams(ctx context.Context, now time.Time, most int) ([]string, error)
}

// StreamInput says who watches which camera.
type StreamInput struct {
	DeviceID string
	Viewer   string // tells apart those who watch through one caller; "" for the caller itself
}

// StartStream makes the caller a viewer of a camera's stream, or renews its lease. The first viewer
// starts the stream; whoever comes while it starts or runs sends nothing. STREAM_FLAPPING, with the
// time to come back, for a caller that calls too often, and for a stream that started too often.
func (s *Service) StartStream(ctx context.Context, in StreamInput) (StreamView, error) {
	who, d, err := s.camera(ctx, caller.CameraView, in.DeviceID)
	if err != nil {
		return StreamView{}, err
	}
	if err := input.Line("viewer", in.Viewer, maxViewerName); err != nil {
		return StreamView{}, err
	}
	v := Viewer{Caller: who.Name(), Name: in.Viewer}
	join := func(d Device, st Stream, now time.Time) (Stream, error) {
		st, err := st.called(v.Caller, now, s.streams)
		if err != nil {
			return st, err
		}
		return st.joined(v, d, now, s.streams)
	}
	if err := s.tryOut(ctx, d, join); err != nil {
		return StreamView{}, err // told without a write, however often it is asked
	}
	st, err := s.changeStream(ctx, who, in.DeviceID, join)
	return st.viewedBy(v, s.clock.Now()), err
}

// StopStream ends the caller's watching. The last viewer stops the stream, after a while in which
// somebody may come back.
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
	st, err := s.changeStream(ctx, who, in.DeviceID, func(_ Device, st Stream, _ time.Time) (Stream, error) {
		st, _ = st.left(v)
		return st, nil
	})
	return st.viewedBy(v, s.clock.Now()), err
}

// StreamView is a stream as a viewer is told of it.
type StreamView struct {
	Stream
	Watching   int        // viewers
	LeaseUntil *time.Time // of the viewer that asks; nil when it is none
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

// BatchGetStreams gives the streams of those of the devices that are cameras and that the caller may
// see. For staff.
func (s *Service) BatchGetStreams(ctx context.Context, deviceIDs []string) ([]StreamView, error) {
	devices, err := s.seenByStaff(ctx, deviceIDs)
	if err != nil || len(devices) == 0 {
		return nil, err
	}
	var cameras []string
	for _, d := range devices {
		if d.Kind == Camera {
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

// camera gives the caller when it may do what scope names, and the camera.
func (s *Service) camera(ctx context.Context, scope, id string) (caller.Caller, Device, error) {
	who, err := mayOperate(ctx, scope)
	if err != nil {
		return caller.Caller{}, Device{}, err
	}
	if err := checkID("deviceId", id); err != nil {
		return caller.Caller{}, Device{}, err
	}
	found, err := s.seen(ctx, who, "deviceId", []string{id})
	if err != nil {
		return caller.Caller{}, Device{}, err
	}
	if len(found) == 0 {
		return caller.Caller{}, Device{}, Missing(id)
	}
	if found[0].Kind != Camera {
		return caller.Caller{}, Device{}, errs.New(errs.InvalidArgument, ReasonNotACamera, "%s is no camera", id)
	}
	return who, found[0], nil
}

// tryOut tells whether the change would be refused, by what is known now.
func (s *Service) tryOut(ctx context.Context, d Device, change func(Device, Stream, time.Time) (Stream, error)) error {
	found, err := s.store.GetStreams(ctx, []string{d.ID})
	if err != nil || len(found) == 0 {
		return err
	}
	_, err = change(d, found[0], s.clock.Now())
	return err
}

// changeStream changes a stream, and what follows from that by itself.
func (s *Service) changeStream(ctx context.Context, who caller.Caller, id string, change func(Device, Stream, time.Time) (Stream, error)) (Stream, error) {
	now := s.clock.Now()
	st, err := s.store.ChangeStream(ctx, id, func(d Device, st Stream, c *Command) (*StreamChange, error) {
		if !sees(who, d) {
			return nil, Missing(id)
		}
		changed, err := change(d, st.answered(c, now).pruned(now, s.streams), now)
		if err != nil {
			return nil, err
		}
		return streamChange(who.Name(), st, changed.advanced(d, nil, now, s.streams), now)
	})
	if err != nil {
		return Stream{}, fmt.Errorf("change stream: %w", err)
	}
	if _, err := s.drive(ctx, st); err != nil {
		return st, nil // the Attendant does it
	}
	return st, nil
}

// streamDetails is the data of an event about a stream.
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
	e, err := noted(after.DeviceID, now, what, words, actor, streamDetails{
		From: before.State, To: after.State, Viewers: len(after.Viewers), CommandID: after.CommandID, Reason: after.Reason,
	})
	change.Events = []Event{e}
	return change, err
}

// attendStream does what is due for a stream.
func (s *Service) attendStream(ctx context.Context, id string) error {
	now := s.clock.Now()
	st, err := s.store.ChangeStream(ctx, id, func(d Device, st Stream, c *Command) (*StreamChange, error) {
		return streamChange("system", st, st.advanced(d, c, now, s.streams), now)
	})
	if err != nil {
		return fmt.Errorf("attend to the stream of %s: %w", id, err)
	}
	_, err = s.drive(ctx, st)
	return err
}

// drive sends the command that the state of the stream names, unless it is there already: however
// often, and by however many processes it is called, it is one command.
func (s *Service) drive(ctx context.Context, st Stream) (Command, error) {
	now := s.clock.Now()
	var name string
	var until *time.Time
	timeout := startTimeout
	switch st.State {
	case StreamStarting:
		name = commandStartStream
	case StreamStopping:
		by := now.Add(stopTimeout) // it waits for a camera that is away for a moment
		name, timeout, until = commandStopStream, stopTimeout, &by
	default:
		return Command{}, nil
	}
	return s.start(ctx, About{DeviceID: st.DeviceID, CommandID: st.CommandID, Now: now}, st.By, func(t *turn) (Command, error) {
		if t.Command != nil {
			return *t.Command, nil
		}
		c := made(st.DeviceID, name, "{}", st.By, timeout, until, now)
		c.ID = st.CommandID
		return c, nil
	})
}

// streamAnswered looks after a stream whose command has ended.
func (s *Service) streamAnswered(ctx context.Context, deviceID, commandID string) error {
	found, err := s.store.GetStreams(ctx, []string{deviceID})
	if err != nil || len(found) == 0 || found[0].CommandID != commandID {
		return err
	}
	return s.attendStream(ctx, deviceID)
}

// MoveInput says where a camera shall look; what is nil stays as it is.
type MoveInput struct {
	DeviceID       string
	Pan            *float64 // degrees from the middle, to the right: -180 to 180
	Tilt           *float64 // degrees from the horizon, upward: -90 to 90
	Zoom           *float64 // times: 1 to 100
	Focus          *float64 // 0 is nearest, 1 is infinity
	IdempotencyKey string
}

// movement is what the camera is told.
type movement struct {
	Pan   *float64 `json:"pan,omitempty"`
	Tilt  *float64 `json:"tilt,omitempty"`
	Zoom  *float64 `json:"zoom,omitempty"`
	Focus *float64 `json:"focus,omitempty"`
}

func (in MoveInput) arguments() (string, error) {
	some := false
	for _, axis := range []struct {
		name        string
		value       *float64
		least, most float64
	}{{"pan", in.Pan, -180, 180}, {"tilt", in.Tilt, -90, 90}, {"zoom", in.Zoom, 1, 100}, {"focus", in.Focus, 0, 1}} {
		if axis.value == nil {
			continue
		}
		some = true
		if !(*axis.value >= axis.least && *axis.value <= axis.most) { // NaN is neither
			return "", errs.Invalid(axis.name, "must be between %g and %g", axis.least, axis.most)
		}
	}
	if !some {
		return "", errs.Invalid("input", "names none of pan, tilt, zoom and focus")
	}
	text, err := json.Marshal(movement{Pan: in.Pan, Tilt: in.Tilt, Zoom: in.Zoom, Focus: in.Focus})
	if err != nil {
		return "", fmt.Errorf("write the arguments: %w", err)
	}
	return string(text), nil
}

// MoveCamera turns a camera.
func (s *Service) MoveCamera(ctx context.Context, in MoveInput) (Command, error) {
	arguments, err := in.arguments()
	if err != nil {
		return Command{}, err
	}
	return s.cameraCommand(ctx, caller.CameraMove, SendInput{
		DeviceID: in.DeviceID, Name: commandMoveCamera, Arguments: arguments, Timeout: startTimeout, IdempotencyKey: in.IdempotencyKey,
	})
}

// SnapshotInput asks for an image.
type SnapshotInput struct {
	DeviceID string
	Upload   string // a JSON object: where the camera shall put the image
}

// TakeSnapshot has a camera take an image and put it where the input says.
func (s *Service) TakeSnapshot(ctx context.Context, in SnapshotInput) (Command, error) {
	return s.cameraCommand(ctx, caller.CameraView, SendInput{
		DeviceID: in.DeviceID, Name: commandTakeSnapshot, Arguments: in.Upload, Timeout: DefaultTimeout,
	})
}

// cameraCommand sends a command to a camera for a caller that does not call too often.
func (s *Service) cameraCommand(ctx context.Context, scope string, in SendInput) (Command, error) {
	who, d, err := s.camera(ctx, scope, in.DeviceID)
	if err != nil {
		return Command{}, err
	}
	pay := func(_ Device, st Stream, now time.Time) (Stream, error) {
		return st.called(scope+" "+who.Name(), now, s.streams)
	}
	if err := s.tryOut(ctx, d, pay); err != nil {
		return Command{}, err
	}
	if _, err := s.changeStream(ctx, who, d.ID, pay); err != nil {
		return Command{}, err
	}
	return s.sendAs(ctx, who, in, func(Device) error { return nil })
}

// reservedFor tells whether a device of the kind takes the command by a use case of its own alone.
func reservedFor(kind Kind, name string) bool {
	if kind != Camera {
		return false
	}
	switch name {
	case commandStartStream, commandStopStream, commandMoveCamera, commandTakeSnapshot:
		return true
	}
	return false
}

func newStream(deviceID string) Stream { return Stream{DeviceID: deviceID, State: StreamStopped} }

// ParseStream reads a stream as it was kept; "" is that of a device that was never streamed from.
func ParseStream(deviceID, body string) (Stream, error) {
	st := newStream(deviceID)
	if body == "" {
		return st, nil
	}
	if err := json.Unmarshal([]byte(body), &st); err != nil {
		return Stream{}, fmt.Errorf("read the stream of %s: %w", deviceID, err)
	}
	return st, nil
}
