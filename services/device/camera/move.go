package camera

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
)

// MoveInput is the desired view of a camera; nil leaves a value unchanged.
type MoveInput struct {
	DeviceID       string
	Pan            *float64 // degrees right of the centre: -180 to 180
	Tilt           *float64 // degrees above the horizon: -90 to 90
	Zoom           *float64 // factor: 1 to 100
	Focus          *float64 // 0 is the nearest, 1 is infinity
	IdempotencyKey string
}

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
		if !(*axis.value >= axis.least && *axis.value <= axis.most) { // refuses NaN too
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

// MoveCamera moves a camera.
func (s *Service) MoveCamera(ctx context.Context, in MoveInput) (command.Command, error) {
	arguments, err := in.arguments()
	if err != nil {
		return command.Command{}, err
	}
	return s.cameraCommand(ctx, caller.CameraMove, command.SendInput{
		DeviceID: in.DeviceID, Name: commandMoveCamera, Arguments: arguments, Timeout: startTimeout, IdempotencyKey: in.IdempotencyKey,
	})
}

// SnapshotInput requests an image.
type SnapshotInput struct {
	DeviceID  string
	Upload    string // a JSON object: where to upload the image
	CommandID string // of the new command, which the upload names; "" for any
}

// TakeSnapshot sends the command to upload an image as the input specifies.
func (s *Service) TakeSnapshot(ctx context.Context, in SnapshotInput) (command.Command, error) {
	return s.cameraCommand(ctx, caller.CameraView, command.SendInput{
		DeviceID: in.DeviceID, Name: commandTakeSnapshot, Arguments: in.Upload, Timeout: command.DefaultTimeout, CommandID: in.CommandID,
	})
}

func (s *Service) cameraCommand(ctx context.Context, scope string, in command.SendInput) (command.Command, error) {
	who, d, err := s.camera(ctx, scope, in.DeviceID)
	if err != nil {
		return command.Command{}, err
	}
	pay := func(_ device.Device, st Stream, now time.Time) (Stream, error) {
		return st.called(scope+" "+who.Name(), now, s.rules)
	}
	if err := s.tryOut(ctx, d, pay); err != nil {
		return command.Command{}, err
	}
	if _, err := s.changeStream(ctx, who, d.ID, pay); err != nil {
		return command.Command{}, err
	}
	return s.commands.SendAs(ctx, who, in, func(device.Device) error { return nil })
}

// Reserved reports whether only a use case of its own may send the command to a device of the kind.
func Reserved(kind device.Kind, name string) bool {
	if kind != device.Camera {
		return false
	}
	switch name {
	case commandStartStream, commandStopStream, commandMoveCamera, commandTakeSnapshot:
		return true
	}
	return false
}
