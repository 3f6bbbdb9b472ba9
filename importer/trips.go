package importer

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/open"
)

const (
	maxFixes = 2_000     // per call
	maxRides = 500       // per call
	maxTrips = 1_000_000 // with fixes, per file
)

func (in *intake) trips(ctx context.Context, r io.Reader) error {
	text := bufio.NewReader(r)
	source := in.source("recording")
	if isXML(text) {
		source = in.source("gpx")
	}
	trips, err := open.Trips(text, in.file.Name, in.read)
	if err != nil {
		return err
	}
	if trips.Rides != nil {
		return in.rides(ctx, source, trips.Rides)
	}
	return in.fixes(ctx, source, trips.Fixes)
}

func isXML(r *bufio.Reader) bool {
	head, _ := r.Peek(512)
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	return bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("<"))
}

func (in *intake) fixes(ctx context.Context, source string, fixes iter.Seq2[recordings.Fix, error]) error {
	names := tripNames{}
	vehicles := in.newRoster(source, recordings.KindVehicle)
	to := newBatches(maxFixes, func(ctx context.Context, trip string, part []recordings.Fix) error {
		vehicleID, reason, err := vehicles.id(ctx, part[0].Vehicle)
		if err != nil {
			return err
		}
		if reason != "" {
			in.refuse(part[0].Line, len(part), reason)
			return nil
		}
		recording := Recording{Source: source, AccountID: in.accountID, VehicleID: vehicleID}
		return in.sendFixes(ctx, recording, names.of(trip), part)
	})
	return pass(ctx, in, fixes, to, func(f recordings.Fix) (string, error) {
		if err := names.note(f, cmp.Or(f.Vehicle, in.unnamed())); err != nil {
			return "", fmt.Errorf("%s: %w", in.file.Name, err)
		}
		return f.Trip, vehicles.note(ctx, f.Vehicle)
	})
}

func (in *intake) sendFixes(ctx context.Context, r Recording, externalID string, fixes []recordings.Fix) error {
	return halve(fixes, func(part []recordings.Fix) error {
		added, err := in.services.Trips.ImportFixes(ctx, r, externalID, part)
		if err != nil {
			return err
		}
		if added.Created {
			in.Trips++
		}
		in.countAccepted(len(part), Written{Stored: added.Stored})
		for why, n := range added.Rejected {
			if in.rejected == nil {
				in.rejected = map[string]int64{}
			}
			in.rejected[why] += n
		}
		return nil
	}, func(part []recordings.Fix, reason string) { in.refuse(part[0].Line, len(part), reason) })
}

// tripNames are the external ids of the trips of a file, by the hashes of their keys. A key is often a simple number,
// which is another trip in another file. So the external id is a hash of the key, the vehicle and the time of the
// first fix.
type tripNames map[[16]byte][16]byte

var errTooManyTrips = errors.New("there are more than a million trips in the file: split it")

func (n tripNames) note(first recordings.Fix, vehicle string) error {
	key := hash([]byte(first.Trip))
	if _, known := n[key]; known {
		return nil
	}
	if len(n) == maxTrips {
		return errTooManyTrips
	}
	var text []byte
	text = binary.AppendVarint(text, first.At.UnixMicro())
	text = binary.AppendUvarint(text, uint64(len(vehicle)))
	text = append(text, vehicle...)
	n[key] = hash(append(text, first.Trip...))
	return nil
}

func (n tripNames) of(trip string) string {
	name := n[hash([]byte(trip))]
	return hex.EncodeToString(name[:])
}

func hash(text []byte) (short [16]byte) {
	sum := sha256.Sum256(text)
	copy(short[:], sum[:])
	return short
}

func (in *intake) rides(ctx context.Context, source string, rides iter.Seq2[recordings.Ride, error]) error {
	vehicles := in.newRoster(source, recordings.KindVehicle)
	to := newBatches(maxRides, func(ctx context.Context, vehicle string, part []recordings.Ride) error {
		vehicleID, reason, err := vehicles.id(ctx, vehicle)
		if err != nil {
			return err
		}
		if reason != "" {
			in.refuse(part[0].Line, len(part), reason)
			return nil
		}
		return in.sendRides(ctx, Recording{Source: source, AccountID: in.accountID, VehicleID: vehicleID}, part)
	})
	return pass(ctx, in, in.named(rides), to, func(r recordings.Ride) (string, error) {
		return r.Vehicle, vehicles.note(ctx, r.Vehicle)
	})
}

func (in *intake) sendRides(ctx context.Context, r Recording, rides []recordings.Ride) error {
	return halve(rides, func(part []recordings.Ride) error {
		written, faults, err := in.services.Trips.ImportRides(ctx, r, part)
		if err != nil {
			return err
		}
		good := len(part)
		for _, ride := range part {
			if reason, bad := faults[ride.Key]; bad {
				in.refuse(ride.Line, 1, reason)
				good--
			}
		}
		in.Trips += written.Stored
		in.countAccepted(good, written)
		return nil
	}, func(part []recordings.Ride, reason string) { in.refuse(part[0].Line, len(part), reason) })
}
