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
	Events = "EVENTS" // what changed, for everyone; the stream's sequence is the cursor
	Jobs   = "JOBS"   // runs that are due, each for one worker
)

// The subjects that the streams take, as prefixes.
const (
	eventPrefix  = "event."
	jobRunPrefix = "job.run."
)

// DuplicateWindow is how long a stream knows the id of a message, and drops a repeat.
const DuplicateWindow = 10 * time.Minute

const (
	minEventsMaxBytes = 1 << 20
	jobsMaxBytes      = 256 << 20
)

// streams is the table of what the broker keeps. EVENTS forgets the oldest when it is full; JOBS
// refuses the newest, since what it holds was promised to run.
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

// declareStreams makes the streams, or changes those there are. Doing it again changes nothing.
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
