package rpc

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/sluicehq/sluice/bff"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	jobv1 "github.com/sluicehq/sluice/services/gen/job/v1"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
)

// DecodeEvent reads what an event of the entity carries into its Node and Owner. An entity that is
// not known here has neither.
func DecodeEvent(e *bff.Event, data []byte) error {
	var err error
	switch e.Entity {
	case bff.EntityActivity:
		var m activityv1.Activity
		if err = proto.Unmarshal(data, &m); err == nil {
			e.Node, e.Owner = activity(&m), m.GetAccountId()
		}
	case bff.EntityDevice:
		var m devicev1.Device
		if err = proto.Unmarshal(data, &m); err == nil && !m.GetDeleted() {
			e.Node = device(&m)
		}
	case bff.EntityLogLine:
		var m devicev1.LogLine
		if err = proto.Unmarshal(data, &m); err == nil {
			e.Node = logLine(&m)
		}
	case bff.EntityTrip:
		var m tripv1.Trip
		if err = proto.Unmarshal(data, &m); err == nil {
			e.Node, e.Owner = trip(&m), m.GetAccountId()
		}
	case bff.EntityJob:
		var m jobv1.Job
		if err = proto.Unmarshal(data, &m); err == nil && !m.GetDeleted() {
			e.Node, e.Owner = job(&m), m.GetCreatedBy()
		}
	}
	if err != nil {
		return fmt.Errorf("read the event of %s %s: %w", e.Entity, e.ID, err)
	}
	return nil
}
