package bff

import (
	"context"
	"time"
)

// Activities is what goes on in the world. GetActivities is a batch read.
type Activities interface {
	RecordActivity(ctx context.Context, input RecordActivityInput) (*Activity, error)
	GetActivities(ctx context.Context, ids []string) ([]*Activity, error)
	ListActivities(ctx context.Context, filter *ActivityFilter, page PageRequest) (Page[Activity], error)
	ReportHydration(ctx context.Context, query HydrationQuery) (*HydrationReport, error)
}

// ActivityKind is OBSERVATION, HYDRATION, TRIP, DEVICE, JOB or NOTE.
type ActivityKind string

// Hydration is the kind of a drink of water.
const Hydration ActivityKind = "HYDRATION"

// Activity is something that went on.
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
	AccountID    string // of its owner; "" for a public activity. The schema does not show it
	DeviceID     string // "" when it concerns none
	TripID       string // likewise
	JobID        string // likewise
	Links        []*Link
	Data         JSON
}

// SkyCoordinates is a place on the sky, in degrees.
type SkyCoordinates struct {
	RightAscension float64
	Declination    float64
	Epoch          string
}

// Observation is what a telescope did.
type Observation struct {
	Site, Telescope, Instrument, Programme, Observer, Target, Status *string
}

// Link leads to more.
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

// ActivityFilter selects activities; all that is named must hold.
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

// SkyCoordinatesInput is a place on the sky as a caller gives it.
type SkyCoordinatesInput struct {
	RightAscension float64
	Declination    float64
	Epoch          *string
}

// ObservationInput is what a telescope did, as a caller tells it.
type ObservationInput struct {
	Site, Telescope, Instrument, Programme, Observer, Target, Status *string
}

// LinkInput leads to more.
type LinkInput struct {
	URL   string
	Title *string
}

// RecordActivityInput records what went on.
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

// RecordWaterInput records a drink of water.
type RecordWaterInput struct {
	AmountMl       int
	At             *time.Time
	IdempotencyKey *string
}

// HydrationQuery asks for the water of [From, To).
type HydrationQuery struct {
	From, To  time.Time
	TimeZone  string // IANA
	AccountID string // "" for all that the caller may see
}

// HydrationReport adds up water, in millilitres.
type HydrationReport struct {
	TotalMl        int
	DailyAverageMl float64
	Days           []*HydrationDay
	Entries        []*Activity
}

// HydrationDay is one day's water.
type HydrationDay struct {
	Date    string // YYYY-MM-DD
	TotalMl int
}

// IsNode marks what has an id of its own.
func (*Activity) IsNode() {}

// GetID gives the id.
func (a *Activity) GetID() string { return a.ID }
