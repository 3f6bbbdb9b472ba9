// Package open selects the reader of a recording by the content of the file, with one function per kind. A fatal
// error names the file, and is never a recordings.Fault.
package open

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/fitbit"
	"github.com/sluicehq/sluice/recordings/gpx"
	"github.com/sluicehq/sluice/recordings/internal/source"
	"github.com/sluicehq/sluice/recordings/sls"
	"github.com/sluicehq/sluice/recordings/table"
)

// Trips reads GPX, and fixes or rides in CSV, JSON arrays and JSON Lines. The name is for errors.
func Trips(r io.Reader, name string, opts recordings.Options) (recordings.Trips, error) {
	in, first, err := sniff(r, name)
	if err != nil {
		return recordings.Trips{}, err
	}
	if first == '<' {
		return recordings.Trips{Fixes: naming(name, gpx.Fixes(in, opts))}, nil
	}
	trips, err := table.Trips(in, opts)
	if err != nil {
		return recordings.Trips{}, fmt.Errorf("%s: %w", name, err)
	}
	if trips.Rides != nil {
		return recordings.Trips{Rides: naming(name, trips.Rides)}, nil
	}
	return recordings.Trips{Fixes: naming(name, trips.Fixes)}, nil
}

// Telemetry reads readings in CSV, JSON arrays and JSON Lines.
func Telemetry(r io.Reader, name string, opts recordings.Options) iter.Seq2[recordings.Reading, error] {
	return naming(name, table.Readings(r, opts))
}

// Devices reads an inventory in CSV, JSON arrays and JSON Lines.
func Devices(r io.Reader, name string, opts recordings.Options) iter.Seq2[recordings.Device, error] {
	return naming(name, table.Devices(r, opts))
}

// Observations reads telescope schedules.
func Observations(r io.Reader, name string, opts recordings.Options) iter.Seq2[recordings.Observation, error] {
	return naming(name, sls.Observations(r, opts))
}

// Hydration reads water logs of the Fitbit Web API.
func Hydration(r io.Reader, name string, opts recordings.Options) iter.Seq2[recordings.WaterLog, error] {
	return naming(name, fitbit.WaterLogs(r, opts))
}

func sniff(r io.Reader, name string) (*bufio.Reader, byte, error) {
	in, err := source.Open(r)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	first, err := source.First(in)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	return in, first, nil
}

// naming adds the name of the file to a fatal error.
func naming[T any](name string, rows iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for row, err := range rows {
			if _, isFault := errors.AsType[recordings.Fault](err); err != nil && !isFault {
				err = fmt.Errorf("%s: %w", name, err)
			}
			if !yield(row, err) {
				return
			}
		}
	}
}
