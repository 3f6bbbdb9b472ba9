package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/services/activity"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

func fromProto(m *activityv1.Activity) activity.Activity {
	o := m.GetObservation()
	a := activity.Activity{
		Kind: kind(m.GetKind()), Source: m.GetSource(), ExternalID: m.GetExternalId(), AccountID: m.GetAccountId(),
		Title: m.GetTitle(), Content: m.GetContent(), StartedAt: moment(m.GetStartedAt()), EndedAt: optional(m.GetEndedAt()),
		Actor: m.GetActor(), Organisation: m.GetOrganisation(), Subject: m.GetSubject(), Unit: m.GetUnit(),
		Position: position(m.GetPosition()), Sky: sky(m.GetSky()),
		Observation: activity.Observation{
			Site: o.GetSite(), Telescope: o.GetTelescope(), Instrument: o.GetInstrument(), Programme: o.GetProgramme(),
			Observer: o.GetObserver(), Target: o.GetTarget(), Status: o.GetStatus(),
		},
		DeviceID: m.GetDeviceId(), TripID: m.GetTripId(), JobID: m.GetJobId(), Data: m.GetDataJson(),
	}
	if m != nil {
		a.Amount = m.Amount
	}
	for _, link := range m.GetLinks() {
		a.Links = append(a.Links, activity.Link{URL: link.GetUrl(), Title: link.GetTitle()})
	}
	return a
}

func position(m *typesv1.Position) *activity.Position {
	if m == nil {
		return nil
	}
	return &activity.Position{
		Latitude: m.GetLatitude(), Longitude: m.GetLongitude(), At: moment(m.GetAt()), Accuracy: m.Accuracy, Place: m.GetPlace(),
	}
}

func sky(m *activityv1.SkyCoordinates) *activity.Sky {
	if m == nil {
		return nil
	}
	return &activity.Sky{RightAscension: m.GetRightAscension(), Declination: m.GetDeclination(), Epoch: m.GetEpoch()}
}

// moment returns the zero time for a message without a time. For an invalid timestamp, or one equal to the zero time,
// it returns a year that the use cases refuse.
func moment(m *timestamppb.Timestamp) time.Time {
	switch {
	case m == nil:
		return time.Time{}
	case m.CheckValid() != nil || m.AsTime().IsZero():
		return time.Date(10_000, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	return m.AsTime()
}

func optional(m *timestamppb.Timestamp) *time.Time {
	if m == nil {
		return nil
	}
	at := moment(m)
	return &at
}

func kind(m activityv1.Kind) activity.Kind {
	switch m {
	case activityv1.Kind_KIND_UNSPECIFIED:
		return ""
	case activityv1.Kind_KIND_OBSERVATION:
		return activity.Observed
	case activityv1.Kind_KIND_HYDRATION:
		return activity.Hydration
	case activityv1.Kind_KIND_TRIP:
		return activity.Trip
	case activityv1.Kind_KIND_DEVICE:
		return activity.Device
	case activityv1.Kind_KIND_JOB:
		return activity.Job
	case activityv1.Kind_KIND_NOTE:
		return activity.Note
	}
	return activity.Kind(m.String()) // the number, which the use cases refuse
}

func filter(m *activityv1.ActivityFilter) activity.Filter {
	f := activity.Filter{
		Sources: m.GetSources(), StartedFrom: optional(m.GetStartedFrom()), StartedBefore: optional(m.GetStartedBefore()),
		Actor: m.GetActor(), Telescope: m.GetTelescope(), Instrument: m.GetInstrument(), Programme: m.GetProgramme(),
		Observer: m.GetObserver(), Target: m.GetTarget(), Status: m.GetStatus(),
		AccountID: m.GetAccountId(), DeviceID: m.GetDeviceId(),
	}
	for _, k := range m.GetKinds() {
		f.Kinds = append(f.Kinds, kind(k))
	}
	if cone := m.GetCone(); cone != nil {
		f.Cone = &activity.Cone{RightAscension: cone.GetRightAscension(), Declination: cone.GetDeclination(), Radius: cone.GetRadius()}
	}
	return f
}
