package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/importer"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
)

type activities struct{ client activityv1.ActivitiesClient }

func (a activities) ImportActivities(ctx context.Context, all []importer.Activity) (importer.Written, map[int]string, error) {
	request := &activityv1.ImportActivitiesRequest{Activities: make([]*activityv1.Activity, len(all))}
	for i, activity := range all {
		request.Activities[i] = toActivity(activity)
		if activity.StartAssumed {
			request.StartAssumed = append(request.StartAssumed, int32(i))
		}
		if activity.Total {
			request.Totals = append(request.Totals, int32(i))
		}
	}
	reply, err := a.client.ImportActivities(ctx, request)
	if err != nil {
		return importer.Written{}, nil, err
	}
	faults := map[int]string{}
	for _, fault := range reply.GetFaults() {
		faults[int(fault.GetIndex())] = fault.GetReason()
	}
	written := importer.Written{Stored: reply.GetStored(), Updated: reply.GetUpdated(), Empty: reply.GetEmpty()}
	return written, faults, nil
}

func toActivity(a importer.Activity) *activityv1.Activity {
	m := &activityv1.Activity{
		Kind:   activityv1.Kind(activityv1.Kind_value["KIND_"+string(a.Kind)]),
		Source: a.Source, ExternalId: a.ExternalID, AccountId: a.AccountID, Title: a.Title,
		Actor: a.Actor, Subject: a.Subject, Amount: a.Amount, Unit: a.Unit, DataJson: a.DataJSON,
		StartedAt: timestamppb.New(a.StartedAt),
	}
	if !a.EndedAt.IsZero() {
		m.EndedAt = timestamppb.New(a.EndedAt)
	}
	if s := a.Sky; s != nil {
		m.Sky = &activityv1.SkyCoordinates{RightAscension: s.RightAscension, Declination: s.Declination, Epoch: s.Epoch}
	}
	if w := a.Telescope; w != nil {
		m.Observation = &activityv1.Observation{
			Site: w.Site, Telescope: w.Telescope, Instrument: w.Instrument, Programme: w.Programme,
			Observer: w.Observer, Target: w.Target, Status: w.Status,
		}
	}
	return m
}
