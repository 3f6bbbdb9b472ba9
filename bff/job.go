package bff

import (
	"context"
	"time"
)

// Jobs is the port of the job service. GetJobs, ListDeviceJobs and ListJobRuns are batch reads.
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

// JobStatus is the status of a job or a run.
type JobStatus string

// Job is work that is scheduled for a time, or that recurs.
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
	DeviceID       string // "" for none
	Progress       *float64
	Result         JSON
	Error          *string
	CreatedBy      string
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// JobRun is one attempt of a job.
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

// JobCounts counts the jobs that the caller sees, by status.
type JobCounts struct {
	Total, Scheduled, Queued, Running, Succeeded, Failed, Retrying, Cancelled int
}

// JobFilter selects jobs that meet all conditions.
type JobFilter struct {
	Statuses     []JobStatus
	Kinds        []string
	DeviceID     *string
	NameContains *string
}

// CreateJobInput is the input that schedules a job.
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

// UpdateJobInput changes the fields that are not nil.
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

// IsNode implements Node.
func (*Job) IsNode() {}

// GetID implements Node.
func (j *Job) GetID() string { return j.ID }
