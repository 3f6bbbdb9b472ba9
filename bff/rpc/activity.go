package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
)

// Activities calls the activity service. It implements bff.Activities.
type Activities struct{ client activityv1.ActivitiesClient }

var _ bff.Activities = Activities{}

// NewActivities returns the port over a connection.
func NewActivities(conn grpc.ClientConnInterface) Activities {
	return Activities{client: activityv1.NewActivitiesClient(conn)}
}

// RecordActivity records an activity of the caller's account, or a public one when staff request that.
func (a Activities) RecordActivity(ctx context.Context, input bff.RecordActivityInput) (*bff.Activity, error) {
	who := caller.FromContext(ctx)
	m := activityMessage(input)
	m.AccountId = who.AccountID
	if input.Public != nil && *input.Public {
		if !who.Staff() {
			return nil, errs.Denied("only staff record for everybody")
		}
		m.AccountId = ""
	}
	return one(activity)(a.client.RecordActivity(ctx, &activityv1.RecordActivityRequest{Activity: m, IdempotencyKey: text(input.IdempotencyKey)}))
}

// UpdateActivity implements bff.Activities.
func (a Activities) UpdateActivity(ctx context.Context, in bff.UpdateActivityInput) (*bff.Activity, error) {
	m := activityMessage(bff.RecordActivityInput{
		Content: in.Content, StartedAt: in.StartedAt, EndedAt: in.EndedAt, Title: text(in.Title), Actor: in.Actor,
		Organisation: in.Organisation, Subject: in.Subject, Amount: in.Amount, Unit: in.Unit, Position: in.Position, Sky: in.Sky,
		Observation: in.Observation, DeviceID: in.DeviceID, TripID: in.TripID, JobID: in.JobID, Links: in.Links, Data: in.Data,
	})
	if in.Kind != nil {
		m.Kind = enumValue[activityv1.Kind](activityv1.Kind_value, "KIND_", string(*in.Kind))
	}
	return one(activity)(a.client.UpdateActivity(ctx, &activityv1.UpdateActivityRequest{
		Id: in.ID, ExpectedVersion: version(in.ExpectedVersion), Activity: m, Fields: changedFields(in),
	}))
}

func changedFields(in bff.UpdateActivityInput) []string {
	var fields []string
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"kind", in.Kind != nil}, {"title", in.Title != nil}, {"content", in.Content != nil}, {"startedAt", in.StartedAt != nil},
		{"endedAt", in.EndedAt != nil}, {"actor", in.Actor != nil}, {"organisation", in.Organisation != nil},
		{"subject", in.Subject != nil}, {"amount", in.Amount != nil}, {"unit", in.Unit != nil}, {"position", in.Position != nil},
		{"sky", in.Sky != nil}, {"observation", in.Observation != nil}, {"deviceId", in.DeviceID != nil},
		{"tripId", in.TripID != nil}, {"jobId", in.JobID != nil}, {"links", in.Links != nil}, {"data", named(in.Data)},
	} {
		if f.set {
			fields = append(fields, f.name)
		}
	}
	for _, f := range in.Clear {
		fields = append(fields, clearedFields[f])
	}
	return fields
}

// clearedFields names the fields of the contract. It is never written.
var clearedFields = map[bff.ActivityField]string{
	"CONTENT": "content", "ENDED_AT": "endedAt", "ACTOR": "actor", "ORGANISATION": "organisation", "SUBJECT": "subject",
	"AMOUNT": "amount", "UNIT": "unit", "POSITION": "position", "SKY": "sky", "OBSERVATION": "observation",
	"DEVICE": "deviceId", "TRIP": "tripId", "JOB": "jobId", "LINKS": "links", "DATA": "data",
}

// DeleteActivity implements bff.Activities.
func (a Activities) DeleteActivity(ctx context.Context, id string, expectedVersion *int) error {
	_, err := a.client.WithdrawActivity(ctx, &activityv1.WithdrawActivityRequest{Id: id, ExpectedVersion: version(expectedVersion)})
	return err
}

// ListRevisions implements bff.Activities.
func (a Activities) ListRevisions(ctx context.Context, id string) ([]*bff.ActivityRevision, error) {
	m, err := a.client.ListRevisions(ctx, &activityv1.ListRevisionsRequest{Id: id})
	if err != nil {
		return nil, err
	}
	return each(m.GetRevisions(), func(r *activityv1.Revision) *bff.ActivityRevision {
		return &bff.ActivityRevision{
			Activity: activity(r.GetActivity()), Version: int(r.GetActivity().GetVersion()), ReplacedAt: r.GetReplacedAt().AsTime(),
			ReplacedBy: r.GetReplacedBy(), Withdrawn: r.GetWithdrawn(),
		}
	}), nil
}

// GetActivities implements bff.Activities.
func (a Activities) GetActivities(ctx context.Context, ids []string) ([]*bff.Activity, error) {
	m, err := a.client.BatchGetActivities(ctx, &activityv1.BatchGetActivitiesRequest{Ids: ids})
	if err != nil {
		return nil, err
	}
	return each(m.GetActivities(), activity), nil
}

// ListActivities implements bff.Activities.
func (a Activities) ListActivities(ctx context.Context, filter *bff.ActivityFilter, request bff.PageRequest) (bff.Page[bff.Activity], error) {
	m, err := a.client.ListActivities(ctx, &activityv1.ListActivitiesRequest{Filter: activityFilter(filter), Page: pageRequest(request)})
	if err != nil {
		return bff.Page[bff.Activity]{}, err
	}
	return page(m.GetActivities(), m.GetPage(), activity), nil
}

// ReportHydration implements bff.Activities.
func (a Activities) ReportHydration(ctx context.Context, query bff.HydrationQuery) (*bff.HydrationReport, error) {
	m, err := a.client.ReportHydration(ctx, &activityv1.ReportHydrationRequest{
		From: timestamppb.New(query.From), To: timestamppb.New(query.To), TimeZone: query.TimeZone, AccountId: query.AccountID,
	})
	if err != nil {
		return nil, err
	}
	return &bff.HydrationReport{
		TotalMl: int(m.GetTotalMl()), DailyAverageMl: m.GetDailyAverageMl(), Entries: each(m.GetEntries(), activity),
		Days: each(m.GetDays(), func(d *activityv1.HydrationDay) *bff.HydrationDay {
			return &bff.HydrationDay{Date: d.GetDate(), TotalMl: int(d.GetTotalMl())}
		}),
	}, nil
}

func activity(m *activityv1.Activity) *bff.Activity {
	return &bff.Activity{
		ID: m.GetId(), Kind: enum[bff.ActivityKind](m.GetKind().String(), "KIND_"), Source: m.GetSource(),
		ExternalID: optionalText(m.GetExternalId()), Title: m.GetTitle(), Content: optionalText(m.GetContent()),
		StartedAt: m.GetStartedAt().AsTime(), EndedAt: optionalTime(m.GetEndedAt()),
		Actor: optionalText(m.GetActor()), Organisation: optionalText(m.GetOrganisation()), Subject: optionalText(m.GetSubject()),
		Amount: m.Amount, Unit: optionalText(m.GetUnit()), Position: position(m.GetPosition()), Sky: sky(m.GetSky()),
		Observation: observation(m.GetObservation()), AccountID: m.GetAccountId(), DeviceID: m.GetDeviceId(), TripID: m.GetTripId(), JobID: m.GetJobId(),
		Links: each(m.GetLinks(), link), Data: optionalJSON(m.GetDataJson()),
		Version: int(m.GetVersion()), UpdatedAt: m.GetUpdatedAt().AsTime(), WithdrawnAt: optionalTime(m.GetWithdrawnAt()),
	}
}

func sky(m *activityv1.SkyCoordinates) *bff.SkyCoordinates {
	if m == nil {
		return nil
	}
	return &bff.SkyCoordinates{RightAscension: m.GetRightAscension(), Declination: m.GetDeclination(), Epoch: m.GetEpoch()}
}

func observation(m *activityv1.Observation) *bff.Observation {
	if m == nil {
		return nil
	}
	return &bff.Observation{
		Site: optionalText(m.GetSite()), Telescope: optionalText(m.GetTelescope()), Instrument: optionalText(m.GetInstrument()),
		Programme: optionalText(m.GetProgramme()), Observer: optionalText(m.GetObserver()),
		Target: optionalText(m.GetTarget()), Status: optionalText(m.GetStatus()),
	}
}

func link(m *activityv1.Link) *bff.Link {
	return &bff.Link{URL: m.GetUrl(), Title: optionalText(m.GetTitle())}
}

func activityMessage(in bff.RecordActivityInput) *activityv1.Activity {
	m := &activityv1.Activity{
		Kind:   enumValue[activityv1.Kind](activityv1.Kind_value, "KIND_", string(in.Kind)),
		Source: text(in.Source), ExternalId: text(in.ExternalID), Title: in.Title, Content: text(in.Content),
		StartedAt: timestamp(in.StartedAt), EndedAt: timestamp(in.EndedAt),
		Actor: text(in.Actor), Organisation: text(in.Organisation), Subject: text(in.Subject),
		Amount: in.Amount, Unit: text(in.Unit), Position: positionMessage(in.Position),
		DeviceId: text(in.DeviceID), TripId: text(in.TripID), JobId: text(in.JobID),
		Links: each(in.Links, func(l *bff.LinkInput) *activityv1.Link { return &activityv1.Link{Url: l.URL, Title: text(l.Title)} }),
	}
	if named(in.Data) {
		m.DataJson = string(in.Data)
	}
	if s := in.Sky; s != nil {
		m.Sky = &activityv1.SkyCoordinates{RightAscension: s.RightAscension, Declination: s.Declination, Epoch: text(s.Epoch)}
	}
	if o := in.Observation; o != nil {
		m.Observation = &activityv1.Observation{
			Site: text(o.Site), Telescope: text(o.Telescope), Instrument: text(o.Instrument), Programme: text(o.Programme),
			Observer: text(o.Observer), Target: text(o.Target), Status: text(o.Status),
		}
	}
	return m
}

func activityFilter(f *bff.ActivityFilter) *activityv1.ActivityFilter {
	if f == nil {
		return nil
	}
	m := &activityv1.ActivityFilter{
		Kinds: enumValues[activityv1.Kind](activityv1.Kind_value, "KIND_", f.Kinds), Sources: f.Sources,
		StartedFrom: timestamp(f.StartedFrom), StartedBefore: timestamp(f.StartedBefore), Actor: text(f.Actor),
		Telescope: text(f.Telescope), Instrument: text(f.Instrument), Programme: text(f.Programme), Observer: text(f.Observer),
		Target: text(f.Target), Status: text(f.Status), DeviceId: text(f.DeviceID), AccountId: text(f.AccountID),
	}
	if c := f.Cone; c != nil {
		m.Cone = &activityv1.Cone{RightAscension: c.RightAscension, Declination: c.Declination, Radius: c.Radius}
	}
	return m
}
