package bff

import (
	"context"
	"time"
)

// Activities is the port of the activity service. GetActivities is a batch read.
type Activities interface {
	RecordActivity(ctx context.Context, input RecordActivityInput) (*Activity, error)
	UpdateActivity(ctx context.Context, input UpdateActivityInput) (*Activity, error)
	DeleteActivity(ctx context.Context, id string, expectedVersion *int) error
	ListRevisions(ctx context.Context, id string) ([]*ActivityRevision, error)
	GetActivities(ctx context.Context, ids []string) ([]*Activity, error)
	ListActivities(ctx context.Context, filter *ActivityFilter, page PageRequest) (Page[Activity], error)
	ReportHydration(ctx context.Context, query HydrationQuery) (*HydrationReport, error)
}

// ActivityKind is OBSERVATION, HYDRATION, TRIP, DEVICE, JOB or NOTE.
type ActivityKind string

// Hydration is the kind of an activity that records drinking water.
const Hydration ActivityKind = "HYDRATION"

// Activity is an event in the world, such as an observation or a drink of water.
type Activity struct {
	ID           string
	Kind         ActivityKind
	Source       string
	ExternalID   *string
	Title        string
	Content      *string
	StartedAt    time.Time
	EndedAt      *time.Time
	Actor        *string
	Organisation *string
	Subject      *string
	Amount       *float64
	Unit         *string
	Position     *Position
	Sky          *SkyCoordinates
	Observation  *Observation
	AccountID    string // of the owner; "" for a public activity. Not in the schema
	DeviceID     string // "" for none
	TripID       string // "" for none
	JobID        string // "" for none
	Links        []*Link
	Data         JSON
	Version      int
	UpdatedAt    time.Time
	WithdrawnAt  *time.Time // only in the event of a withdrawal
}

// ActivityRevision is an earlier version of an activity.
type ActivityRevision struct {
	Activity   *Activity
	Version    int
	ReplacedAt time.Time
	ReplacedBy string
	Withdrawn  bool
}

// SkyCoordinates is a position on the sky, in degrees.
type SkyCoordinates struct {
	RightAscension float64
	Declination    float64
	Epoch          string
}

// Observation is what a telescope observed.
type Observation struct {
	Site, Telescope, Instrument, Programme, Observer, Target, Status *string
}

// Link is a web address with more information.
type Link struct {
	URL   string
	Title *string
}

// ConeInput is a circle on the sky, in degrees.
type ConeInput struct {
	RightAscension float64
	Declination    float64
	Radius         float64
}

// ActivityFilter selects activities that meet all conditions.
type ActivityFilter struct {
	Kinds         []ActivityKind
	Sources       []string
	StartedFrom   *time.Time // inclusive
	StartedBefore *time.Time // exclusive
	Actor         *string
	Telescope     *string
	Instrument    *string
	Programme     *string
	Observer      *string
	Target        *string
	Status        *string
	Cone          *ConeInput
	DeviceID      *string
	AccountID     *string
}

// SkyCoordinatesInput is a position on the sky.
type SkyCoordinatesInput struct {
	RightAscension float64
	Declination    float64
	Epoch          *string
}

// ObservationInput is the input of an observation.
type ObservationInput struct {
	Site, Telescope, Instrument, Programme, Observer, Target, Status *string
}

// LinkInput is the input of a link.
type LinkInput struct {
	URL   string
	Title *string
}

// RecordActivityInput is the input of RecordActivity.
type RecordActivityInput struct {
	Kind           ActivityKind
	Source         *string
	ExternalID     *string
	Title          string
	Content        *string
	StartedAt      *time.Time
	EndedAt        *time.Time
	Actor          *string
	Organisation   *string
	Subject        *string
	Amount         *float64
	Unit           *string
	Position       *PositionInput
	Sky            *SkyCoordinatesInput
	Observation    *ObservationInput
	DeviceID       *string
	TripID         *string
	JobID          *string
	Links          []*LinkInput
	Data           JSON
	Public         *bool
	IdempotencyKey *string
}

// ActivityField is a field that an update can remove.
type ActivityField string

// UpdateActivityInput changes the fields that are not nil, and removes those of Clear.
type UpdateActivityInput struct {
	ID              string
	Kind            *ActivityKind
	Title           *string
	Content         *string
	StartedAt       *time.Time
	EndedAt         *time.Time
	Actor           *string
	Organisation    *string
	Subject         *string
	Amount          *float64
	Unit            *string
	Position        *PositionInput
	Sky             *SkyCoordinatesInput
	Observation     *ObservationInput
	DeviceID        *string
	TripID          *string
	JobID           *string
	Links           []*LinkInput
	Data            JSON
	Clear           []ActivityField
	ExpectedVersion *int
}

// RecordWaterInput is the input that records a drink of water.
type RecordWaterInput struct {
	AmountMl       int
	At             *time.Time
	IdempotencyKey *string
}

// HydrationQuery selects the water in [From, To).
type HydrationQuery struct {
	From, To  time.Time
	TimeZone  string // IANA
	AccountID string // "" for all activities that the caller sees
}

// HydrationReport is a sum of water, in millilitres.
type HydrationReport struct {
	TotalMl        int
	DailyAverageMl float64
	Days           []*HydrationDay
	Entries        []*Activity
}

// HydrationDay is the water of one day.
type HydrationDay struct {
	Date    string // YYYY-MM-DD
	TotalMl int
}

// IsNode implements Node.
func (*Activity) IsNode() {}

// GetID implements Node.
func (a *Activity) GetID() string { return a.ID }
