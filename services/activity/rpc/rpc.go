// Package rpc is the gRPC server of the activity service (services/proto/activity/v1). A value that the domain cannot
// represent, such as an unknown kind, becomes a value that the use cases refuse.
package rpc

import (
	"context"
	"slices"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/services/activity"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

// Register serves the use cases as sluice.activity.v1.Activities.
func Register(r grpc.ServiceRegistrar, s *activity.Service) {
	activityv1.RegisterActivitiesServer(r, server{service: s})
}

type server struct {
	activityv1.UnimplementedActivitiesServer
	service *activity.Service
}

func (s server) RecordActivity(ctx context.Context, r *activityv1.RecordActivityRequest) (*activityv1.Activity, error) {
	a, err := s.service.Record(ctx, activity.RecordInput{Activity: fromProto(r.GetActivity()), IdempotencyKey: r.GetIdempotencyKey()})
	if err != nil {
		return nil, err
	}
	return message(a), nil
}

func (s server) UpdateActivity(ctx context.Context, r *activityv1.UpdateActivityRequest) (*activityv1.Activity, error) {
	a, err := s.service.Update(ctx, activity.UpdateInput{
		ID: r.GetId(), ExpectedVersion: r.ExpectedVersion, Activity: fromProto(r.GetActivity()), Fields: r.GetFields(),
	})
	if err != nil {
		return nil, err
	}
	return message(a), nil
}

func (s server) WithdrawActivity(ctx context.Context, r *activityv1.WithdrawActivityRequest) (*activityv1.Activity, error) {
	a, err := s.service.Withdraw(ctx, r.GetId(), r.ExpectedVersion)
	if err != nil {
		return nil, err
	}
	return message(a), nil
}

func (s server) ListRevisions(ctx context.Context, r *activityv1.ListRevisionsRequest) (*activityv1.ListRevisionsResponse, error) {
	all, err := s.service.History(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	return &activityv1.ListRevisionsResponse{Revisions: types.Each(all, revisionMessage)}, nil
}

func (s server) ImportActivities(ctx context.Context, r *activityv1.ImportActivitiesRequest) (*activityv1.ImportActivitiesResponse, error) {
	all := make([]activity.ImportInput, len(r.GetActivities()))
	for i, m := range r.GetActivities() {
		all[i] = activity.ImportInput{
			Activity:     fromProto(m),
			StartAssumed: slices.Contains(r.GetStartAssumed(), int32(i)),
			Total:        slices.Contains(r.GetTotals(), int32(i)),
		}
	}
	done, err := s.service.Import(ctx, all)
	if err != nil {
		return nil, err
	}
	reply := &activityv1.ImportActivitiesResponse{
		Stored: done.Stored, RepeatedActivities: done.Repeated, Updated: done.Updated, Empty: done.Empty,
	}
	for _, fault := range done.Faults {
		reply.Faults = append(reply.Faults, &activityv1.Fault{Index: int32(fault.Index), Reason: fault.Reason})
	}
	return reply, nil
}

func (s server) BatchGetActivities(ctx context.Context, r *activityv1.BatchGetActivitiesRequest) (*activityv1.BatchGetActivitiesResponse, error) {
	activities, err := s.service.BatchGet(ctx, r.GetIds())
	if err != nil {
		return nil, err
	}
	return &activityv1.BatchGetActivitiesResponse{Activities: types.Each(activities, message)}, nil
}

func (s server) ListActivities(ctx context.Context, r *activityv1.ListActivitiesRequest) (*activityv1.ListActivitiesResponse, error) {
	p, err := s.service.List(ctx, filter(r.GetFilter()), types.PageRequest(r.GetPage()))
	if err != nil {
		return nil, err
	}
	return &activityv1.ListActivitiesResponse{Activities: types.Each(p.Items, message), Page: types.PageInfo(p)}, nil
}

func (s server) SumAmounts(ctx context.Context, r *activityv1.SumAmountsRequest) (*activityv1.SumAmountsResponse, error) {
	sum, count, err := s.service.SumAmounts(ctx, filter(r.GetFilter()))
	if err != nil {
		return nil, err
	}
	return &activityv1.SumAmountsResponse{Sum: sum, Count: count}, nil
}

func (s server) ReportHydration(ctx context.Context, r *activityv1.ReportHydrationRequest) (*activityv1.HydrationReport, error) {
	report, err := s.service.ReportHydration(ctx, activity.HydrationInput{
		From: moment(r.GetFrom()), To: moment(r.GetTo()), TimeZone: r.GetTimeZone(), AccountID: r.GetAccountId(),
	})
	if err != nil {
		return nil, err
	}
	reply := &activityv1.HydrationReport{
		TotalMl: report.TotalMl, DailyAverageMl: report.DailyAverageMl, Entries: types.Each(report.Entries, message),
	}
	for _, day := range report.Days {
		reply.Days = append(reply.Days, &activityv1.HydrationDay{Date: day.Date, TotalMl: day.TotalMl})
	}
	return reply, nil
}
