package rpc

import (
	"google.golang.org/protobuf/proto"

	"github.com/sluicehq/sluice/bff"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	jobv1 "github.com/sluicehq/sluice/services/gen/job/v1"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
)

// DecodeActivity decodes the payload of an event of an activity.
func DecodeActivity(payload []byte) (*bff.Activity, error) {
	return decode(&activityv1.Activity{}, payload, activity)
}

// DecodeDevice decodes the payload of an event of a device; a deleted device is nil.
func DecodeDevice(payload []byte) (*bff.Device, error) {
	return decode(&devicev1.Device{}, payload, device)
}

// DecodeLogLine decodes the payload of an event of a log line.
func DecodeLogLine(payload []byte) (*bff.LogLine, error) {
	return decode(&devicev1.LogLine{}, payload, logLine)
}

// DecodeTrip decodes the payload of an event of a trip.
func DecodeTrip(payload []byte) (*bff.Trip, error) { return decode(&tripv1.Trip{}, payload, trip) }

// DecodeJob decodes the payload of an event of a job; a deleted job is nil.
func DecodeJob(payload []byte) (*bff.Job, error) { return decode(&jobv1.Job{}, payload, job) }

func decode[M proto.Message, V any](message M, payload []byte, view func(M) *V) (*V, error) {
	if err := proto.Unmarshal(payload, message); err != nil {
		return nil, err
	}
	if d, ok := any(message).(interface{ GetDeleted() bool }); ok && d.GetDeleted() {
		return nil, nil
	}
	return view(message), nil
}
