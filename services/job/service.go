package job

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

// Service has the use cases. Staff see and change all jobs, other callers those that they created. It is safe for
// concurrent use.
type Service struct {
	store Store
	clock clock.Clock
	kinds Kinds
	wake  func()
}

// New returns a Service. It calls wake after each change, because a job may be due.
func New(store Store, clock clock.Clock, kinds Kinds, wake func()) *Service {
	return &Service{store: store, clock: clock, kinds: kinds, wake: wake}
}

// CreateInput is the input of Create. The job runs at RunAt, on a Cron, or at once without both.
type CreateInput struct {
	Name           string
	Description    string
	Kind           string
	Payload        string // JSON
	RunAt          *time.Time
	Cron           string
	TimeZone       string // "" means UTC
	MaxAttempts    int    // 0 means DefaultMaxAttempts
	TimeoutSeconds int    // 0 means DefaultTimeout
	DeviceID       string
	IdempotencyKey string
}

// Create stores a new job. Invalid input is INVALID_ARGUMENT.
func (s *Service) Create(ctx context.Context, in CreateInput) (Job, error) {
	who, err := caller.Require(ctx, caller.JobWrite)
	if err != nil {
		return Job{}, err
	}
	j, err := s.newJob(in, s.clock.Now())
	if err != nil {
		return Job{}, err
	}
	key, err := idempotency.NewKey(ctx, in.IdempotencyKey, "CreateJob", in)
	if err != nil {
		return Job{}, err
	}
	j.CreatedBy = who.Name()
	if j, err = s.store.Create(ctx, key, j); err != nil {
		return Job{}, fmt.Errorf("create job: %w", err)
	}
	s.wake()
	return s.masked(j), nil
}

func (s *Service) newJob(in CreateInput, now time.Time) (Job, error) {
	in = in.withDefaults(now)
	if err := s.check(in); err != nil {
		return Job{}, err
	}
	runAt, err := input.OptionalTime("runAt", in.RunAt)
	if err != nil {
		return Job{}, err
	}
	j := Job{
		ID: ids.New(ids.Job), Name: in.Name, Description: in.Description, Kind: in.Kind,
		Plan:        Plan{RunAt: runAt, Cron: in.Cron, TimeZone: in.TimeZone},
		MaxAttempts: in.MaxAttempts, Timeout: time.Duration(in.TimeoutSeconds) * time.Second,
		DeviceID: in.DeviceID, Status: Scheduled, Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if j.Payload, j.Secret, err = conceal(s.kinds[in.Kind], in.Payload, ""); err != nil {
		return Job{}, err
	}
	first, err := j.first(now)
	j.NextRunAt = &first
	return j, err
}

func (in CreateInput) withDefaults(now time.Time) CreateInput {
	if in.RunAt == nil && in.Cron == "" {
		in.RunAt = &now
	}
	in.MaxAttempts = cmp.Or(in.MaxAttempts, DefaultMaxAttempts)
	in.TimeoutSeconds = cmp.Or(in.TimeoutSeconds, int(DefaultTimeout/time.Second))
	in.TimeZone = cmp.Or(in.TimeZone, utc)
	return in
}

func (s *Service) check(in CreateInput) error {
	if in.RunAt != nil && in.Cron != "" {
		return errBothTimes()
	}
	kind, err := s.kinds.lookup(in.Kind)
	if err != nil {
		return err
	}
	return cmp.Or(
		checkName(in.Name), checkDescription(in.Description), checkPayload(kind, in.Payload),
		checkMaxAttempts(in.MaxAttempts), checkTimeout(in.TimeoutSeconds), checkDevice(in.DeviceID),
	)
}

// UpdateInput is a partial update; nil leaves a field unchanged. An ended job accepts every change except a new time,
// so that it can be corrected before a retry. While a run is running, a change applies from the next run on; see
// Job.replan for a new time.
type UpdateInput struct {
	ID              string
	ExpectedVersion *int64
	Name            *string
	Description     *string
	Payload         *string
	RunAt           *time.Time
	Cron            *string // "" means a single run, at RunAt
	TimeZone        *string
	MaxAttempts     *int
	TimeoutSeconds  *int
	DeviceID        *string // "" removes it
}

// Update applies a partial update. Without a change there is no new version and no event. With a new time, a waiting
// or queued job fires once, at that time.
func (s *Service) Update(ctx context.Context, in UpdateInput) (Job, error) {
	return s.change(ctx, "update", in.ID, in.ExpectedVersion, func(before Job, run *Run, now time.Time) (Change, error) {
		j, err := s.revised(before, in)
		if err != nil {
			return Change{}, err
		}
		runAt, err := input.OptionalTime("runAt", in.RunAt)
		if err != nil {
			return Change{}, err
		}
		plan, err := j.revised(runAt, in.Cron, in.TimeZone)
		if err != nil {
			return Change{}, err
		}
		if j == before && plan.same(j.Plan) && plan.TimeZone == j.TimeZone {
			return Change{}, nil
		}
		change, err := j.withNewVersion(now).replan(plan, run, now)
		change.Limited = true
		return change, err
	})
}

func (s *Service) revised(j Job, in UpdateInput) (Job, error) {
	err := cmp.Or(
		set(&j.Name, in.Name, checkName),
		set(&j.Description, in.Description, checkDescription),
		set(&j.MaxAttempts, in.MaxAttempts, checkMaxAttempts),
		set(&j.DeviceID, in.DeviceID, checkDevice),
	)
	if err != nil {
		return Job{}, err
	}
	if in.TimeoutSeconds != nil {
		if err := checkTimeout(*in.TimeoutSeconds); err != nil {
			return Job{}, err
		}
		j.Timeout = time.Duration(*in.TimeoutSeconds) * time.Second
	}
	if in.Payload == nil {
		return j, nil
	}
	kind, err := s.kinds.lookup(j.Kind)
	if err != nil {
		return Job{}, err
	}
	j.Payload, j.Secret, err = conceal(kind, *in.Payload, j.wholePayload())
	return j, err
}

// set assigns a value that is not nil, and checks it.
func set[T any](field *T, value *T, check func(T) error) error {
	if value == nil {
		return nil
	}
	*field = *value
	return check(*value)
}

// Cancel cancels the job for good, and aborts a running run. It is idempotent. A job that has ended otherwise is
// FAILED_PRECONDITION.
func (s *Service) Cancel(ctx context.Context, id string, expectedVersion *int64) (Job, error) {
	return s.change(ctx, "cancel", id, expectedVersion, Job.cancel)
}

// Retry schedules a failed or cancelled job for now, from its first attempt. A cron continues afterwards.
func (s *Service) Retry(ctx context.Context, id string, expectedVersion *int64) (Job, error) {
	return s.change(ctx, "retry", id, expectedVersion, func(j Job, _ *Run, now time.Time) (Change, error) {
		return j.retry(now)
	})
}

// Delete deletes the job and its runs. A running job is FAILED_PRECONDITION.
func (s *Service) Delete(ctx context.Context, id string, expectedVersion *int64) error {
	_, err := s.change(ctx, "delete", id, expectedVersion, func(j Job, _ *Run, now time.Time) (Change, error) {
		if j.Status == Running {
			return Change{}, errRunning("delete it")
		}
		j = j.withNewVersion(now)
		return Change{Job: &j, Delete: true}, nil
	})
	return err
}

// change applies the decision to a job that the caller may see and that is at the expected version.
func (s *Service) change(ctx context.Context, what, id string, expectedVersion *int64,
	decide func(j Job, run *Run, now time.Time) (Change, error),
) (Job, error) {
	who, err := caller.Require(ctx, caller.JobWrite)
	if err != nil {
		return Job{}, err
	}
	if err := input.ID("id", ids.Job, id); err != nil {
		return Job{}, err
	}
	if err := s.checkOwner(ctx, who, id); err != nil {
		return Job{}, fmt.Errorf("%s job: %w", what, err)
	}
	now := s.clock.Now()
	j, err := s.store.Change(ctx, id, "", func(j Job, run *Run) (Change, error) {
		if !entity.Job.Sees(who, j.Facts()) {
			return Change{}, errs.Missing("job", id)
		}
		if expectedVersion != nil && *expectedVersion != j.Version {
			return Change{}, errs.Conflict("job", *expectedVersion, j.Version)
		}
		return decide(j, run, now)
	})
	if err != nil {
		return Job{}, fmt.Errorf("%s job: %w", what, err)
	}
	s.wake()
	return j, nil
}

// checkOwner refuses a job of another caller before the lock and the rule, so that timing does not reveal that the
// job exists. For staff the store returns Missing.
func (s *Service) checkOwner(ctx context.Context, who caller.Caller, id string) error {
	owner := ownerOf(who)
	if owner == "" {
		return nil
	}
	found, err := s.store.Get(ctx, []string{id}, owner)
	if err == nil && len(found) == 0 {
		err = errs.Missing("job", id)
	}
	return err
}

// ownerOf returns the only creator whose jobs the caller may see; "" for all creators.
func ownerOf(who caller.Caller) string {
	return entity.Job.Visibility(who).Owner
}
