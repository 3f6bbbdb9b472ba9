package rpc

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/services/activity"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

// EncodeActivity returns the protobuf payload of the activity for its events.
func EncodeActivity(a activity.Activity) ([]byte, error) {
	out, err := proto.Marshal(message(a))
	if err != nil {
		return nil, fmt.Errorf("write activity %s: %w", a.ID, err)
	}
	return out, nil
}

func message(a activity.Activity) *activityv1.Activity {
	m := &activityv1.Activity{
		Id: a.ID, Kind: kindMessage(a.Kind), Source: a.Source, ExternalId: a.ExternalID, AccountId: a.AccountID,
		Title: a.Title, Content: a.Content, StartedAt: timestamppb.New(a.StartedAt), EndedAt: types.Timestamp(a.EndedAt),
		Actor: a.Actor, Organisation: a.Organisation, Subject: a.Subject, Amount: a.Amount, Unit: a.Unit,
		Position: positionMessage(a.Position), Observation: observationMessage(a.Observation),
		DeviceId: a.DeviceID, TripId: a.TripID, JobId: a.JobID, DataJson: a.Data, CreatedAt: timestamppb.New(a.CreatedAt),
		Version: a.Version, UpdatedAt: timestamppb.New(a.UpdatedAt), WithdrawnAt: types.Timestamp(a.WithdrawnAt),
	}
	if a.Sky != nil {
		m.Sky = &activityv1.SkyCoordinates{RightAscension: a.Sky.RightAscension, Declination: a.Sky.Declination, Epoch: a.Sky.Epoch}
	}
	for _, link := range a.Links {
		m.Links = append(m.Links, &activityv1.Link{Url: link.URL, Title: link.Title})
	}
	return m
}

func revisionMessage(r activity.Revision) *activityv1.Revision {
	return &activityv1.Revision{
		Activity: message(r.Activity), ReplacedAt: timestamppb.New(r.ReplacedAt), ReplacedBy: r.ReplacedBy, Withdrawn: r.Withdrawn,
	}
}

func kindMessage(k activity.Kind) activityv1.Kind {
	switch k {
	case activity.Observed:
		return activityv1.Kind_KIND_OBSERVATION
	case activity.Hydration:
		return activityv1.Kind_KIND_HYDRATION
	case activity.Trip:
		return activityv1.Kind_KIND_TRIP
	case activity.Device:
		return activityv1.Kind_KIND_DEVICE
	case activity.Job:
		return activityv1.Kind_KIND_JOB
	case activity.Note:
		return activityv1.Kind_KIND_NOTE
	}
	return activityv1.Kind_KIND_UNSPECIFIED
}

func positionMessage(p *activity.Position) *typesv1.Position {
	if p == nil {
		return nil
	}
	return &typesv1.Position{
		Latitude: p.Latitude, Longitude: p.Longitude, At: timestamppb.New(p.At), Accuracy: p.Accuracy, Place: p.Place,
	}
}

func observationMessage(o activity.Observation) *activityv1.Observation {
	if o == (activity.Observation{}) {
		return nil
	}
	return &activityv1.Observation{
		Site: o.Site, Telescope: o.Telescope, Instrument: o.Instrument, Programme: o.Programme,
		Observer: o.Observer, Target: o.Target, Status: o.Status,
	}
}
