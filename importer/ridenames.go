package importer

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/sluicehq/sluice/recordings"
)

// maxRecentRides is the number of rides of a file whose names are remembered: 40 MB.
const maxRecentRides = 200_000

// rideNames are the external ids of the rides of a file. They contain only what a source does not correct: the key of
// the trip and the vehicle, or without a key the vehicle and the start. Among the last 200,000 rides of a file,
// another ride of the same name has its number in the name.
type rideNames struct {
	contents map[[16]byte][]string // of the rides of a name, in their order
	order    [][16]byte            // of the names, the oldest first
}

// named replaces the keys of rides by their external ids.
func (in *intake) named(rides iter.Seq2[recordings.Ride, error]) iter.Seq2[recordings.Ride, error] {
	names := rideNames{contents: map[[16]byte][]string{}}
	return func(yield func(recordings.Ride, error) bool) {
		for ride, err := range rides {
			if err == nil {
				ride.Key = names.of(ride, cmp.Or(ride.Vehicle, in.unnamed()))
			}
			if !yield(ride, err) {
				return
			}
		}
	}
}

func (n *rideNames) of(ride recordings.Ride, vehicle string) string {
	text := fmt.Sprintf("%d:%s", len(vehicle), vehicle)
	if ride.Trip != "" {
		text += "trip " + ride.Trip
	} else {
		text += "start " + ride.Start.UTC().Format(time.RFC3339Nano)
	}
	name := hash([]byte(text))
	contents, known := n.contents[name]
	if !known {
		n.remember(name)
	}
	number := slices.Index(contents, ride.Key) + 1
	if number == 0 {
		n.contents[name] = append(contents, ride.Key)
		number = len(contents) + 1
	}
	if number > 1 {
		name = hash(fmt.Appendf(nil, "%s %d", text, number))
	}
	return hex.EncodeToString(name[:])
}

func (n *rideNames) remember(name [16]byte) {
	if len(n.order) == maxRecentRides {
		for _, old := range n.order[:maxRecentRides/2] {
			delete(n.contents, old)
		}
		n.order = slices.Delete(n.order, 0, maxRecentRides/2)
	}
	n.order = append(n.order, name)
}
