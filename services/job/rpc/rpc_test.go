package rpc_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/obs"
	internalrpc "github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	jobv1 "github.com/sluicehq/sluice/services/gen/job/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
	"github.com/sluicehq/sluice/services/job"
	"github.com/sluicehq/sluice/services/job/logline"
	"github.com/sluicehq/sluice/services/job/rpc"
	"github.com/sluicehq/sluice/services/job/store"
	"github.com/sluicehq/sluice/services/job/webhook"
)

// env is the job service behind its contract, on a real store.
type env struct {
	jobv1.JobsClient
	t         *testing.T
	db        *sqldb.DB
	clock     *clock.Manual
	scheduler *job.Scheduler
	worker    *job.Worker
}

func newEnv(t *testing.T) *env {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	h := &env{t: t, db: sqltest.OpenSQLite(t, store.Migrations()), clock: clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	kinds := job.Kinds{"log": logline.New(logger), "webhook": webhook.New(webhook.Options{})}
	jobs := store.New(h.db, rpc.EncodeJob, rpc.EncodeOrder)
	h.scheduler = job.NewScheduler(jobs, h.clock, logger)
	h.worker = job.NewWorker(jobs, h.clock, kinds, logger, h.scheduler.Wake)
	service := job.New(jobs, h.clock, kinds, h.scheduler.Wake)
	options := internalrpc.Options{Logger: logger, Tracing: obs.NoTracing()}
	h.JobsClient = jobv1.NewJobsClient(internalrpc.Within(internalrpc.NewChannel(options, func(r grpc.ServiceRegistrar) {
		rpc.Register(r, service)
	}), options))
	return h
}

func (h *env) as(who caller.Caller) context.Context { return caller.NewContext(h.t.Context(), who) }

func (h *env) operator() context.Context {
	return h.as(caller.Caller{AccountID: "account_op", Role: caller.Operator, Scopes: caller.ScopesOf(caller.Operator)})
}

// partner returns the API key of a member, with all scopes for its own jobs.
func (h *env) partner(key string) context.Context {
	return h.as(caller.Caller{AccountID: "account_m", APIKeyID: key, Role: caller.Member, Scopes: []string{caller.JobRead, caller.JobWrite}})
}

func aJob(change ...func(*jobv1.CreateJobRequest)) *jobv1.CreateJobRequest {
	r := &jobv1.CreateJobRequest{Name: "report", Kind: "log", PayloadJson: `{"message": "hi"}`}
	for _, c := range change {
		c(r)
	}
	return r
}

func (h *env) create(ctx context.Context, change ...func(*jobv1.CreateJobRequest)) *jobv1.Job {
	h.t.Helper()
	j, err := h.CreateJob(ctx, aJob(change...))
	if err != nil {
		h.t.Fatal(err)
	}
	return j
}

// run runs one pass of the scheduler, and executes its orders.
func (h *env) run() {
	h.t.Helper()
	if err := h.scheduler.RunDue(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	for _, event := range h.events() {
		if !strings.HasPrefix(event.Subject, "job.run.") {
			continue
		}
		order, err := rpc.DecodeOrder(event.Data)
		if err != nil || event.Subject != "job.run."+order.JobID {
			h.t.Fatalf("order %+v on %s, %v", order, event.Subject, err)
		}
		if err := h.worker.Handle(h.t.Context(), job.Delivery{Order: order, InProgress: func() error { return nil }}); err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *env) events() []sqldb.Event {
	h.t.Helper()
	events, err := h.db.PendingEvents(h.t.Context(), 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	return events
}

func wantError(t *testing.T, what string, err error, code errs.Code, reason, message string) {
	t.Helper()
	e := errs.From(err)
	if e == nil || e.Code != code || reason != "" && e.Reason != reason || !strings.HasPrefix(e.Message, message) {
		t.Errorf("%s: got %+v, want %s %s %q", what, e, code, reason, message)
	}
}

func TestJobCreatedIsExecuted(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	device := ids.New(ids.Device)
	j := h.create(h.operator(), func(r *jobv1.CreateJobRequest) { r.DeviceId = device; r.Description = "daily" })
	now := timestamppb.New(h.clock.Now())
	want := &jobv1.Job{
		Id: j.GetId(), Name: "report", Description: "daily", Kind: "log", PayloadJson: `{"message": "hi"}`,
		Status: jobv1.Status_STATUS_SCHEDULED, Version: 1, RunAt: now, NextRunAt: now, TimeZone: "UTC",
		MaxAttempts: 3, TimeoutSeconds: 30, DeviceId: device, CreatedBy: "account_op", CreatedAt: now, UpdatedAt: now,
	}
	if !proto.Equal(j, want) {
		t.Errorf("got  %v\nwant %v", j, want)
	}
	h.run()
	got, err := h.BatchGetJobs(h.operator(), &jobv1.BatchGetJobsRequest{Ids: []string{j.GetId(), j.GetId(), "nonsense", ids.New(ids.Job)}})
	if err != nil || len(got.GetJobs()) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	done := got.GetJobs()[0]
	if done.GetStatus() != jobv1.Status_STATUS_SUCCEEDED || done.GetResultJson() != `{"logged":true}` || done.GetAttempt() != 1 || done.Progress != nil {
		t.Errorf("got %v", done)
	}
	events := h.events()
	var last jobv1.Job
	if err := proto.Unmarshal(events[len(events)-1].Data, &last); err != nil || !proto.Equal(&last, done) {
		t.Errorf("the last event tells %v, %v", &last, err)
	}
	runs, err := h.BatchListRuns(h.operator(), &jobv1.BatchListRunsRequest{JobIds: []string{j.GetId(), "nonsense"}, Page: &typesv1.PageRequest{WithTotal: true}})
	if err != nil || len(runs.GetPages()) != 2 {
		t.Fatalf("got %v, %v", runs, err)
	}
	if p := runs.GetPages()[0]; len(p.GetRuns()) != 1 || p.GetRuns()[0].GetStatus() != jobv1.Status_STATUS_SUCCEEDED || p.GetPage().GetTotal() != 1 {
		t.Errorf("got %v", p)
	}
	if p := runs.GetPages()[1]; p.GetJobId() != "nonsense" || len(p.GetRuns()) != 0 || p.GetPage().Total == nil {
		t.Errorf("got %v", p)
	}
}

func TestCreateJobInvalidInputIsRefused(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	for what, test := range map[string]struct {
		change  func(*jobv1.CreateJobRequest)
		message string
	}{
		"no name":           {func(r *jobv1.CreateJobRequest) { r.Name = " " }, "name: "},
		"a long name":       {func(r *jobv1.CreateJobRequest) { r.Name = strings.Repeat("ü", 201) }, "name: "},
		"a name of lines":   {func(r *jobv1.CreateJobRequest) { r.Name = "a\nb" }, "name: "},
		"a long text":       {func(r *jobv1.CreateJobRequest) { r.Description = strings.Repeat("ü", 4001) }, "description: "},
		"a NUL":             {func(r *jobv1.CreateJobRequest) { r.Description = "a\x00" }, "description: "},
		"no kind":           {func(r *jobv1.CreateJobRequest) { r.Kind = "" }, "kind: must be one of log, webhook"},
		"an unknown kind":   {func(r *jobv1.CreateJobRequest) { r.Kind = "shell" }, "kind: must be one of log, webhook"},
		"no payload":        {func(r *jobv1.CreateJobRequest) { r.PayloadJson = "" }, "payload: "},
		"no JSON":           {func(r *jobv1.CreateJobRequest) { r.PayloadJson = "{" }, "payload: is not JSON"},
		"a large payload":   {func(r *jobv1.CreateJobRequest) { r.PayloadJson = `"` + strings.Repeat("a", 65536) + `"` }, "payload: is longer"},
		"another's payload": {func(r *jobv1.CreateJobRequest) { r.Kind = "webhook" }, "payload: "},
		"a private address": {func(r *jobv1.CreateJobRequest) { r.Kind, r.PayloadJson = "webhook", `{"url": "http://127.0.0.1/"}` }, "payload: the url: "},
		"both times":        {func(r *jobv1.CreateJobRequest) { r.RunAt, r.Cron = timestamppb.Now(), "* * * * *" }, "runAt: give runAt or cron, not both"},
		"no time":           {func(r *jobv1.CreateJobRequest) { r.RunAt = &timestamppb.Timestamp{Nanos: -1} }, "runAt: "},
		"long ago": {func(r *jobv1.CreateJobRequest) {
			r.RunAt = timestamppb.New(time.Date(1899, 1, 1, 0, 0, 0, 0, time.UTC))
		}, "runAt: "},
		"far away": {func(r *jobv1.CreateJobRequest) {
			r.RunAt = timestamppb.New(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))
		}, "runAt: "},
		"no cron":        {func(r *jobv1.CreateJobRequest) { r.Cron = "often" }, "cron: "},
		"never":          {func(r *jobv1.CreateJobRequest) { r.Cron = "0 0 30 2 *" }, "cron: never comes true"},
		"no zone":        {func(r *jobv1.CreateJobRequest) { r.Cron, r.TimeZone = "* * * * *", "Nowhere" }, "timeZone: "},
		"no zone, once":  {func(r *jobv1.CreateJobRequest) { r.TimeZone = "Nowhere" }, "timeZone: "},
		"many attempts":  {func(r *jobv1.CreateJobRequest) { r.MaxAttempts = 21 }, "maxAttempts: "},
		"less than none": {func(r *jobv1.CreateJobRequest) { r.MaxAttempts = -1 }, "maxAttempts: "},
		"a long run":     {func(r *jobv1.CreateJobRequest) { r.TimeoutSeconds = 3601 }, "timeoutSeconds: "},
		"no device":      {func(r *jobv1.CreateJobRequest) { r.DeviceId = "trip_01" }, "deviceId: "},
		"a long key":     {func(r *jobv1.CreateJobRequest) { r.IdempotencyKey = strings.Repeat("k", 201) }, "idempotencyKey: "},
	} {
		_, err := h.CreateJob(h.operator(), aJob(test.change))
		wantError(t, what, err, errs.InvalidArgument, errs.ReasonInvalidField, test.message)
	}
	if n := len(h.events()); n != 0 {
		t.Errorf("%d events of what was refused", n)
	}
}

func TestCreateJobTimeInThePastRunsAtOnce(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	j := h.create(h.operator(), func(r *jobv1.CreateJobRequest) { r.RunAt = timestamppb.New(h.clock.Now().AddDate(-1, 0, 0)) })
	h.run()
	got, err := h.BatchGetJobs(h.operator(), &jobv1.BatchGetJobsRequest{Ids: []string{j.GetId()}})
	if err != nil || got.GetJobs()[0].GetStatus() != jobv1.Status_STATUS_SUCCEEDED {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestCreateJobIdempotencyKeyReplayedCreatesOne(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	keyed := func(r *jobv1.CreateJobRequest) { r.IdempotencyKey = "k" }
	first := h.create(h.operator(), keyed)
	h.clock.Advance(time.Hour)
	if again := h.create(h.operator(), keyed); !proto.Equal(first, again) {
		t.Errorf("got  %v\nwant %v", again, first)
	}
	_, err := h.CreateJob(h.operator(), aJob(keyed, func(r *jobv1.CreateJobRequest) { r.Name = "other" }))
	wantError(t, "another input", err, errs.Aborted, errs.ReasonKeyReused, "")
	if other := h.create(h.partner("apikey_1"), keyed); other.GetId() == first.GetId() {
		t.Error("the key of another caller was taken for one's own")
	}
}

func TestUpdateJobPartialKeepsOtherFields(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	device := ids.New(ids.Device)
	j := h.create(h.operator(), func(r *jobv1.CreateJobRequest) {
		r.Cron, r.TimeZone, r.DeviceId, r.Description, r.MaxAttempts = "0 9 * * *", "Europe/Berlin", device, "text", 7
	})
	want := proto.CloneOf(j)
	h.clock.Advance(time.Second)
	update := func(r *jobv1.UpdateJobRequest) {
		t.Helper()
		r.Id = j.GetId()
		got, err := h.UpdateJob(h.operator(), r)
		if err != nil {
			t.Fatal(err)
		}
		want.Version++
		want.UpdatedAt = timestamppb.New(h.clock.Now())
		if !proto.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
	want.Name, want.PayloadJson = "new", `{"message": "new"}`
	update(&jobv1.UpdateJobRequest{Name: &want.Name, PayloadJson: &want.PayloadJson, ExpectedVersion: proto.Int64(1)})
	want.MaxAttempts, want.TimeoutSeconds = 1, 60
	update(&jobv1.UpdateJobRequest{MaxAttempts: &want.MaxAttempts, TimeoutSeconds: &want.TimeoutSeconds})
	want.Description, want.DeviceId = "", ""
	update(&jobv1.UpdateJobRequest{Description: proto.String(""), DeviceId: proto.String("")})
	want.TimeZone, want.NextRunAt = "America/New_York", timestamppb.New(time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC))
	update(&jobv1.UpdateJobRequest{TimeZone: &want.TimeZone})
	want.Cron, want.RunAt = "", timestamppb.New(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC))
	want.NextRunAt = want.RunAt
	update(&jobv1.UpdateJobRequest{Cron: proto.String(""), RunAt: want.RunAt})
}

func TestUpdateJobInvalidChangesNothing(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	j := h.create(h.operator(), func(r *jobv1.CreateJobRequest) { r.Cron = "0 9 * * *" })
	for message, r := range map[string]*jobv1.UpdateJobRequest{
		"name: ":           {Name: proto.String("")},
		"payload: ":        {Name: proto.String("ok"), PayloadJson: proto.String("{}")},
		"runAt: ":          {RunAt: timestamppb.Now()},
		"runAt: is needed": {Cron: proto.String("")},
		"cron: ":           {Cron: proto.String("0 0 30 2 *")},
		"timeZone: ":       {TimeZone: proto.String("Nowhere")},
		"maxAttempts: ":    {MaxAttempts: proto.Int32(0)},
		"timeoutSeconds: ": {TimeoutSeconds: proto.Int32(0)},
		"deviceId: ":       {DeviceId: proto.String("x")},
		"id: ":             {Id: "job_x", Name: proto.String("ok")},
	} {
		if r.Id == "" {
			r.Id = j.GetId()
		}
		_, err := h.UpdateJob(h.operator(), r)
		wantError(t, message, err, errs.InvalidArgument, errs.ReasonInvalidField, message)
	}
	_, err := h.UpdateJob(h.operator(), &jobv1.UpdateJobRequest{Id: j.GetId(), ExpectedVersion: proto.Int64(2)})
	wantError(t, "an old version", err, errs.Aborted, errs.ReasonVersionConflict, "")
	got, err := h.BatchGetJobs(h.operator(), &jobv1.BatchGetJobsRequest{Ids: []string{j.GetId()}})
	if err != nil || !proto.Equal(got.GetJobs()[0], j) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestJobEndedAcceptsOnlyRetryAndDelete(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	j := h.create(h.operator(), func(r *jobv1.CreateJobRequest) { r.RunAt = timestamppb.New(h.clock.Now().Add(time.Hour)) })
	cancelled, err := h.CancelJob(h.operator(), &jobv1.CancelJobRequest{Id: j.GetId(), ExpectedVersion: proto.Int64(1)})
	if err != nil || cancelled.GetStatus() != jobv1.Status_STATUS_CANCELLED || cancelled.GetNextRunAt() != nil {
		t.Errorf("got %v, %v", cancelled, err)
	}
	if again, err := h.CancelJob(h.operator(), &jobv1.CancelJobRequest{Id: j.GetId()}); err != nil || again.GetVersion() != 2 {
		t.Errorf("got %v, %v", again, err)
	}
	_, err = h.UpdateJob(h.operator(), &jobv1.UpdateJobRequest{Id: j.GetId(), RunAt: timestamppb.New(h.clock.Now())})
	wantError(t, "another time", err, errs.FailedPrecondition, job.ReasonFinished, "")
	if named, err := h.UpdateJob(h.operator(), &jobv1.UpdateJobRequest{Id: j.GetId(), Name: proto.String("x")}); err != nil || named.GetName() != "x" {
		t.Errorf("got %v, %v", named, err)
	}
	if _, err := h.RetryJob(h.operator(), &jobv1.RetryJobRequest{Id: j.GetId()}); err != nil {
		t.Error(err)
	}
	h.run()
	_, err = h.CancelJob(h.operator(), &jobv1.CancelJobRequest{Id: j.GetId()})
	wantError(t, "cancel what is done", err, errs.FailedPrecondition, job.ReasonFinished, "")
	_, err = h.RetryJob(h.operator(), &jobv1.RetryJobRequest{Id: j.GetId()})
	wantError(t, "retry what is done", err, errs.FailedPrecondition, job.ReasonNotFailed, "")
	if _, err := h.DeleteJob(h.operator(), &jobv1.DeleteJobRequest{Id: j.GetId()}); err != nil {
		t.Error(err)
	}
	events := h.events()
	var last jobv1.Job
	if err := proto.Unmarshal(events[len(events)-1].Data, &last); err != nil || !last.GetDeleted() || last.GetId() != j.GetId() {
		t.Errorf("the last event tells %v, %v", &last, err)
	}
	_, err = h.DeleteJob(h.operator(), &jobv1.DeleteJobRequest{Id: j.GetId()})
	wantError(t, "delete again", err, errs.NotFound, errs.ReasonNotFound, "")
}

func TestDeleteJobRunningIsRefused(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	j := h.create(h.operator())
	jobs := store.New(h.db, rpc.EncodeJob, rpc.EncodeOrder)
	if _, err := jobs.Change(t.Context(), j.GetId(), "", func(j job.Job, _ *job.Run) (job.Change, error) {
		j.Status, j.NextRunAt, j.Version = job.Running, nil, 2
		return job.Change{Job: &j}, nil
	}); err != nil {
		t.Fatal(err)
	}
	_, err := h.DeleteJob(h.operator(), &jobv1.DeleteJobRequest{Id: j.GetId()})
	wantError(t, "delete", err, errs.FailedPrecondition, job.ReasonRunning, "")
}

func TestJobOfAnotherCallerIsMissing(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	device := ids.New(ids.Device)
	onDevice := func(r *jobv1.CreateJobRequest) { r.DeviceId = device }
	others, own := h.create(h.operator(), onDevice), h.create(h.partner("apikey_1"), onDevice)
	h.create(h.partner("apikey_2"), onDevice)
	h.run()
	ctx := h.partner("apikey_1")
	for what, call := range map[string]func(id string) error{
		"update": func(id string) error { _, err := h.UpdateJob(ctx, &jobv1.UpdateJobRequest{Id: id}); return err },
		"cancel": func(id string) error { _, err := h.CancelJob(ctx, &jobv1.CancelJobRequest{Id: id}); return err },
		"retry":  func(id string) error { _, err := h.RetryJob(ctx, &jobv1.RetryJobRequest{Id: id}); return err },
		"delete": func(id string) error { _, err := h.DeleteJob(ctx, &jobv1.DeleteJobRequest{Id: id}); return err },
	} {
		nowhere := ids.New(ids.Job)
		foreign, unknown := errs.From(call(others.GetId())), errs.From(call(nowhere))
		if foreign == nil || unknown == nil || foreign.Code != errs.NotFound || foreign.Reason != unknown.Reason ||
			strings.ReplaceAll(foreign.Message, others.GetId(), nowhere) != unknown.Message {
			t.Errorf("%s: %v for another's, %v for none", what, foreign, unknown)
		}
	}
	got, err := h.BatchGetJobs(ctx, &jobv1.BatchGetJobsRequest{Ids: []string{own.GetId(), others.GetId()}})
	if err != nil || len(got.GetJobs()) != 1 || got.GetJobs()[0].GetId() != own.GetId() {
		t.Errorf("got %v, %v", got, err)
	}
	list, err := h.ListJobs(ctx, &jobv1.ListJobsRequest{Page: &typesv1.PageRequest{WithTotal: true}})
	if err != nil || len(list.GetJobs()) != 1 || list.GetPage().GetTotal() != 1 {
		t.Errorf("got %v, %v", list, err)
	}
	count, err := h.CountJobs(ctx, &jobv1.CountJobsRequest{})
	if err != nil || count.GetTotal() != 1 || count.GetSucceeded() != 1 {
		t.Errorf("got %v, %v", count, err)
	}
	ofDevice, err := h.BatchListDeviceJobs(ctx, &jobv1.BatchListDeviceJobsRequest{DeviceIds: []string{device}})
	if err != nil || len(ofDevice.GetPages()) != 1 || len(ofDevice.GetPages()[0].GetJobs()) != 1 {
		t.Errorf("got %v, %v", ofDevice, err)
	}
	runs, err := h.BatchListRuns(ctx, &jobv1.BatchListRunsRequest{JobIds: []string{own.GetId(), others.GetId()}})
	if err != nil || len(runs.GetPages()[0].GetRuns()) != 1 || len(runs.GetPages()[1].GetRuns()) != 0 {
		t.Errorf("got %v, %v", runs, err)
	}
}

func TestCallsWithoutScopeAreDenied(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	member := h.as(caller.Caller{AccountID: "account_m", Role: caller.Member, Scopes: caller.ScopesOf(caller.Member)})
	for what, call := range map[string]func(ctx context.Context) error{
		"create": func(ctx context.Context) error { _, err := h.CreateJob(ctx, aJob()); return err },
		"update": func(ctx context.Context) error { _, err := h.UpdateJob(ctx, &jobv1.UpdateJobRequest{}); return err },
		"cancel": func(ctx context.Context) error { _, err := h.CancelJob(ctx, &jobv1.CancelJobRequest{}); return err },
		"retry":  func(ctx context.Context) error { _, err := h.RetryJob(ctx, &jobv1.RetryJobRequest{}); return err },
		"delete": func(ctx context.Context) error { _, err := h.DeleteJob(ctx, &jobv1.DeleteJobRequest{}); return err },
		"get": func(ctx context.Context) error {
			_, err := h.BatchGetJobs(ctx, &jobv1.BatchGetJobsRequest{})
			return err
		},
		"list":  func(ctx context.Context) error { _, err := h.ListJobs(ctx, &jobv1.ListJobsRequest{}); return err },
		"count": func(ctx context.Context) error { _, err := h.CountJobs(ctx, &jobv1.CountJobsRequest{}); return err },
		"device's": func(ctx context.Context) error {
			_, err := h.BatchListDeviceJobs(ctx, &jobv1.BatchListDeviceJobsRequest{})
			return err
		},
		"runs of jobs": func(ctx context.Context) error {
			_, err := h.BatchListRuns(ctx, &jobv1.BatchListRunsRequest{})
			return err
		},
	} {
		wantError(t, what+" by nobody", call(t.Context()), errs.Unauthenticated, "", "")
		wantError(t, what+" by a member", call(member), errs.PermissionDenied, "", "")
	}
}

func TestListsTooManyRowsAreRefused(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	many := make([]string, 1001)
	some := make([]string, 100)
	for i := range some {
		some[i] = ids.New(ids.Job)
	}
	_, err := h.BatchGetJobs(h.operator(), &jobv1.BatchGetJobsRequest{Ids: many})
	wantError(t, "many ids", err, errs.InvalidArgument, "", "ids: ")
	_, err = h.BatchListRuns(h.operator(), &jobv1.BatchListRunsRequest{JobIds: some, Page: &typesv1.PageRequest{First: 1000}})
	wantError(t, "many rows", err, errs.InvalidArgument, "", "first: ")
	_, err = h.ListJobs(h.operator(), &jobv1.ListJobsRequest{Page: &typesv1.PageRequest{First: 1001}})
	wantError(t, "a large page", err, errs.InvalidArgument, "", "first: ")
	for message, filter := range map[string]*jobv1.JobFilter{
		"statuses: ":     {Statuses: []jobv1.Status{jobv1.Status_STATUS_UNSPECIFIED}},
		"kinds: ":        {Kinds: []string{"shell"}},
		"deviceId: ":     {DeviceId: "x"},
		"nameContains: ": {NameContains: "a\x00"},
	} {
		_, err := h.ListJobs(h.operator(), &jobv1.ListJobsRequest{Filter: filter})
		wantError(t, message, err, errs.InvalidArgument, "", message)
	}
}
