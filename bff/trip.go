package bff

import (
	"context"
	"time"
)

// Trips is the port of the trip service. GetTrips, GetOpenTripsByVehicle and GetTracks are batch reads.
type Trips interface {
	StartTrip(ctx context.Context, input StartTripInput) (*Trip, error)
	ReportPosition(ctx context.Context, tripID string, position PositionInput) (*Trip, error)
	EndTrip(ctx context.Context, tripID string, position *PositionInput, expectedVersion *int) (*Trip, error)
	GetTrips(ctx context.Context, ids []string) ([]*Trip, error)
	ListTrips(ctx context.Context, filter *TripFilter, page PageRequest) (Page[Trip], error)
	// GetOpenTripsByVehicle returns the open trips by vehicle.
	GetOpenTripsByVehicle(ctx context.Context, vehicleIDs []string) (map[string]*Trip, error)
	// GetOpenTripOfAccount returns nil without an error if there is no open trip.
	GetOpenTripOfAccount(ctx context.Context, accountID string) (*Trip, error)
	// GetTracks returns the tracks by the id of the trip.
	GetTracks(ctx context.Context, tripIDs []string, maxPoints int) (map[string][]*Position, error)
}

// TripStatus is UNLOCKING, IN_PROGRESS, FINISHED or FAILED.
type TripStatus string

// DistanceSource is TRACK or METER.
type DistanceSource string

// Trip is a ride of an account with a vehicle.
type Trip struct {
	ID              string
	Status          TripStatus
	Version         int
	AccountID       string
	VehicleID       string
	Start           *TripPoint
	Current         *TripPoint
	End             *TripPoint
	Distance        float64 // metres
	DistanceSource  DistanceSource
	DurationSeconds int
	Fee             *Money
	Failure         *string
}

// TripPoint is a position of a trip at a time.
type TripPoint struct {
	Position *Position
	At       time.Time
}

// Money is an amount in the smallest unit of a currency (ISO 4217).
type Money struct {
	AmountMinor int
	Currency    string
}

// TripFilter selects trips that meet all conditions.
type TripFilter struct {
	AccountIds    []string
	VehicleIds    []string
	Statuses      []TripStatus
	StartedFrom   *time.Time // inclusive
	StartedBefore *time.Time // exclusive
}

// StartTripInput is the input that starts a trip.
type StartTripInput struct {
	VehicleID      string
	Position       *PositionInput
	IdempotencyKey *string
}

// IsNode implements Node.
func (*Trip) IsNode() {}

// GetID implements Node.
func (t *Trip) GetID() string { return t.ID }
