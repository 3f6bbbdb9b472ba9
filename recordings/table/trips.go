package table

import (
	"errors"
	"strings"
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/value"
)

const metresPerMile = 1609.344

// oneTrip is the key of the trip in a file without trip keys.
const oneTrip = "1"

func fix(c cells) (recordings.Fix, error) {
	f := recordings.Fix{Line: c.line}
	var errs [4]error
	f.At, errs[0] = c.time("time")
	var p recordings.Position
	p, errs[1] = c.where()
	f.Latitude, f.Longitude = p.Latitude, p.Longitude
	f.Trip, f.Vehicle, errs[2] = c.tripAndVehicle()
	f.AccuracyMetres, errs[3] = c.measure("accuracy")
	return f, first(errs[:])
}

func (c cells) where() (recordings.Position, error) {
	if c.text("point") != "" && c.text("latitude") == "" {
		return c.point("point")
	}
	return c.position("latitude", "longitude")
}

// tripAndVehicle returns the keys of the trip and of the vehicle. A trip number may be unique only for its vehicle,
// so the trip's key contains both.
func (c cells) tripAndVehicle() (trip, vehicle string, err error) {
	if trip, err = c.key("trip"); err != nil {
		return trip, vehicle, err
	}
	if vehicle, err = c.key("vehicle"); err != nil {
		return trip, vehicle, err
	}
	// In tables with points in well-known text, id is the vehicle; elsewhere it may be the id of the row.
	if trip == "" && vehicle == "" && c.text("point") != "" {
		if vehicle, err = c.key("id"); err != nil {
			return trip, vehicle, err
		}
	}
	switch {
	case trip == "" && vehicle == "":
		return oneTrip, "", nil
	case trip == "":
		return vehicle, vehicle, nil
	case vehicle == "":
		return trip, "", nil
	}
	escape := strings.NewReplacer("%", "%25", "/", "%2F")
	return escape.Replace(vehicle) + "/" + escape.Replace(trip), vehicle, nil
}

func ride(c cells) (recordings.Ride, error) {
	r := recordings.Ride{Line: c.line}
	var trip string
	var errs [8]error
	r.Start, r.End, errs[0] = c.startAndEnd()
	r.From, errs[1] = c.position("start_latitude", "start_longitude")
	r.To, errs[2] = c.position("end_latitude", "end_longitude")
	r.MeteredMetres, errs[3] = c.metered()
	r.Passengers, errs[4] = c.count("passengers")
	r.Vehicle, errs[5] = c.key("vehicle")
	trip, errs[6] = c.key("trip")
	r.Trip = trip
	if r.End.Before(r.Start) {
		errs[7] = errors.New("the end is before the start")
	}
	r.Key = rideKey(r, trip)
	return r, first(errs[:])
}

// startAndEnd parses the times of a ride. Repeated local times are resolved if only one pair of instants is in order:
// from the first occurrence to the second.
func (c cells) startAndEnd() (start, end time.Time, err error) {
	from, err := c.instant("start")
	if err != nil {
		return start, end, err
	}
	to, err := c.instant("end")
	if err != nil {
		return start, end, err
	}
	if from.Ambiguous() && to.Ambiguous() && to.First.Before(from.First) {
		return from.First, to.Second, nil
	}
	if start, err = c.time("start"); err != nil {
		return start, end, err
	}
	end, err = c.time("end")
	return start, end, err
}

func rideKey(r recordings.Ride, trip string) string {
	metered := ""
	if r.MeteredMetres != nil {
		metered = value.Digits(*r.MeteredMetres)
	}
	return value.Key("ride", r.Vehicle, trip,
		r.Start.Format(time.RFC3339Nano), r.End.Format(time.RFC3339Nano),
		value.Digits(r.From.Latitude), value.Digits(r.From.Longitude),
		value.Digits(r.To.Latitude), value.Digits(r.To.Longitude),
		metered, value.Digits(float64(r.Passengers)))
}

func (c cells) metered() (*float64, error) {
	units := []struct {
		column string
		metres float64
	}{{"distance_m", 1}, {"distance_km", 1000}, {"distance_miles", metresPerMile}}
	for _, u := range units {
		v, err := c.measure(u.column)
		if v != nil {
			*v *= u.metres
		}
		if v != nil || err != nil {
			return v, err
		}
	}
	return nil, nil
}

func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
