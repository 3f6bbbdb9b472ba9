package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// maxReplicas survive the loss of one server. More cost a write more than they add.
const maxReplicas = 3

// declareStreams creates or updates the streams. It is idempotent.
func declareStreams(ctx context.Context, js jetstream.JetStream, o Options) error {
	for _, config := range streams(o) {
		if err := declareStream(ctx, js, config); err != nil {
			return fmt.Errorf("declare stream %s: %w", config.Name, err)
		}
	}
	return nil
}

// declareStream creates or updates a stream. Without a number of replicas it has as many as the cluster allows, and
// never fewer than before.
func declareStream(ctx context.Context, js jetstream.JetStream, config jetstream.StreamConfig) error {
	if config.Replicas > 0 {
		_, err := js.CreateOrUpdateStream(ctx, config)
		return err
	}
	least := 1
	stream, err := js.Stream(ctx, config.Name)
	switch {
	case err == nil:
		least = stream.CachedInfo().Config.Replicas
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return err
	}
	for config.Replicas = max(maxReplicas, least); ; config.Replicas-- {
		_, err := js.CreateOrUpdateStream(ctx, config)
		if config.Replicas <= least || !isTooFewServers(err) {
			return err
		}
	}
}

// The error codes of JetStream for more replicas than servers:
// https://github.com/nats-io/nats-server/blob/main/server/errors.json
const (
	codeNoPeers      = 10005 // a cluster with too few servers
	codeInsufficient = 10023
	codeNoCluster    = 10074
)

func isTooFewServers(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && slices.Contains([]jetstream.ErrorCode{codeNoPeers, codeInsufficient, codeNoCluster}, api.ErrorCode)
}

func hasStream(subject string) bool {
	return strings.HasPrefix(subject, eventPrefix) || strings.HasPrefix(subject, jobRunPrefix)
}
