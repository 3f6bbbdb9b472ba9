package bff

import (
	"context"
	"time"
)

// Jobs is work to be done. GetJobs, ListDeviceJobs and ListJobRuns are batch reads.
type Jobs interface {
	CreateJob(ctx context.Context, input CreateJobInput) (*Job, error)
	UpdateJob(ctx context.Context, input UpdateJobInput) (*Job, error)
	CancelJob(ctx context.Context, id string, expectedVersion *int) (*Job, error)
	RetryJob(ctx context.Context, id string, expectedVersion *int) (*Job, error)
	DeleteJob(ctx context.Context, id string, expectedVersion *int) error
	GetJobs(ctx context.Context, ids []string) ([]*Job, error)
	ListJobs(ctx context.Context, filter *JobFilter, page PageRequest) (Page[Job], error)
	CountJobs(ctx context.Context) (*JobCounts, error)
	ListDeviceJobs(ctx context.Context, deviceIDs []string, page PageRequest) (map[string]Page[Job], error)
	ListJobRuns(ctx context.Context, jobIDs []string, page PageRequest) (map[string]Page[JobRun], error)
}

// JobStatus is where a job or a run stands.
type JobStatus string

// Job is work to be done at a time, or again and again.
type Job struct {
	ID             string
	Name           string
	Description    string
	Kind           string
	Payload        JSON
	Status         JobStatus
	Version        int
	RunAt          *time.Time
	Cron           *string
	TimeZone       *string
	NextRunAt      *time.Time
	Attempt        int
	MaxAttempts    int
	TimeoutSeconds int
	DeviceID       string // "" when it concerns none
	Progress       *float64
	Result         JSON
	Error          *string
	CreatedBy      string
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// JobRun is one attempt to do the work.
type JobRun struct {
	ID         string
	Attempt    int
	Status     JobStatus
	DueAt      *time.Time
	StartedAt  *time.Time
	FinishedAt *time.Time
	Result     JSON
	Error      *string
}

// JobCounts counts the jobs that the caller may see.
type JobCounts struct {
	Total, Scheduled, Queued, Running, Succeeded, Failed, Retrying, Cancelled int
}

// JobFilter selects jobs; all that is named must hold.
type JobFilter struct {
	Statuses     []JobStatus
	Kinds        []string
	DeviceID     *string
	NameContains *string
}

// CreateJobInput schedules work.
type CreateJobInput struct {
	Name           string
	Description    *string
	Kind           string
	Payload        JSON
	RunAt          *time.Time
	Cron           *string
	TimeZone       *string
	MaxAttempts    *int
	TimeoutSeconds *int
	DeviceID       *string
	IdempotencyKey *string
}

// UpdateJobInput changes what is not nil.
type UpdateJobInput struct {
	ID              string
	Name            *string
	Description     *string
	Payload         JSON
	RunAt           *time.Time
	Cron            *string
	TimeZone        *string
	MaxAttempts     *int
	TimeoutSeconds  *int
	DeviceID        *string
	ExpectedVersion *int
}

// IsNode marks what has an id of its own.
func (*Job) IsNode() {}

// GetID gives the id.
func (j *Job) GetID() string { return j.ID }
