package bus

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The streams.
const (
	Events = "EVENTS" // changes, for all subscribers; the sequence is the cursor
	Jobs   = "JOBS"   // due runs, each for one worker
)

// Prefixes of the subjects of the streams.
const (
	eventPrefix  = "event."
	jobRunPrefix = "job.run."
)

// DuplicateWindow is how long a stream deduplicates a message id.
const DuplicateWindow = 10 * time.Minute

const (
	minEventsMaxBytes = 1 << 20
	jobsMaxBytes      = 256 << 20
)

// streams lists the streams. A full EVENTS drops the oldest event; a full JOBS refuses the newest, because accepted
// runs must run.
func streams(o Options) []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		{
			Name: Events, Subjects: []string{eventPrefix + ">"}, Description: "What changed, for everyone",
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld,
			MaxAge: o.EventsMaxAge, MaxBytes: o.EventsMaxBytes,
			Storage: jetstream.FileStorage, Replicas: o.Replicas, Duplicates: DuplicateWindow,
		},
		{
			Name: Jobs, Subjects: []string{jobRunPrefix + ">"}, Description: "Runs that are due, each for one worker",
			Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
			MaxBytes: jobsMaxBytes,
			Storage:  jetstream.FileStorage, Replicas: o.Replicas, Duplicates: DuplicateWindow,
		},
	}
}

// declareStreams creates or updates the streams.
func declareStreams(ctx context.Context, js jetstream.JetStream, o Options) error {
	for _, config := range streams(o) {
		if _, err := js.CreateOrUpdateStream(ctx, config); err != nil {
			return fmt.Errorf("declare stream %s: %w", config.Name, err)
		}
	}
	return nil
}

func hasStream(subject string) bool {
	return strings.HasPrefix(subject, eventPrefix) || strings.HasPrefix(subject, jobRunPrefix)
}
