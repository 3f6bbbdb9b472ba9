package ingress

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sluicehq/sluice/services/device"
)

// Key names a session: one MQTT client of a device.
type Key struct {
	DeviceID string
	ClientID string
}

// Filter is a subscription of a session.
type Filter struct {
	Topic string `json:"topic"`
	QoS   byte   `json:"qos"`
}

// Claim requests the ownership of a session.
type Claim struct {
	Key
	SecretHash string // of the verified secret: detects a later rotation
	Clean      bool   // discards the filters of an earlier session
	TTL        time.Duration
	Limit      int // sessions per device
	Will       *Will
	Now        time.Time
}

// Will is a last will, and how long after the end of the connection it is published.
type Will struct {
	Message device.UpMessage
	Delay   time.Duration
}

// End is the end of an ownership.
type End struct {
	TTL  *time.Duration // replaces the TTL of the session unless it is nil
	Will bool           // the last will becomes due after its delay; else it is dropped
	Now  time.Time
}

// Ownership is an acquired session.
type Ownership struct {
	Generation int64
	Present    bool // an earlier session continues
	Filters    []Filter
	Evicted    []Key    // ended sessions over the limit: those without a connection first, then the oldest
	Nodes      []string // other processes with a connection that lost its session
}

// ErrSecretChanged reports that the device was deleted, or its secret rotated, after it was verified.
var ErrSecretChanged = errors.New("the secret is no longer valid")

// Sessions persists sessions and the owner of each connection. Each method is one transaction.
type Sessions interface {
	// AcquireSession makes this process the owner, under a higher generation than before.
	AcquireSession(ctx context.Context, claim Claim) (Ownership, error)

	// SubscribeSession replaces the filters, unless a later generation owns the session.
	SubscribeSession(ctx context.Context, key Key, generation int64, filters []Filter) error

	// ReleaseSession ends the ownership. The session stays for its TTL.
	ReleaseSession(ctx context.Context, key Key, generation int64, end End) error

	// OwnedSessions returns the generations of the sessions that this process owns, of the device or of all ("").
	OwnedSessions(ctx context.Context, deviceID string) (map[Key]int64, error)

	// OwnerNodes returns the other processes with a connection of the device.
	OwnerNodes(ctx context.Context, deviceID string) ([]string, error)

	// ConnectedDevices returns the connected devices, and since when.
	ConnectedDevices(ctx context.Context) (map[string]time.Time, error)

	// Heartbeat records that this process is alive, and returns the heartbeats of all processes.
	Heartbeat(ctx context.Context) (map[string]int64, error)

	// ReleaseNode ends the ownerships of a process, "" for this one, and returns their devices. Last wills become due
	// after their delay and grace.
	ReleaseNode(ctx context.Context, node string, now time.Time, grace time.Duration) (deviceIDs []string, err error)

	// PublishWills passes the last wills that are due to publish, and drops them unless it fails.
	PublishWills(ctx context.Context, now time.Time, publish func(ctx context.Context, wills []device.UpMessage) error) error

	// ExpireSessions deletes expired sessions.
	ExpireSessions(ctx context.Context, now time.Time) error

	// Group joins the writes of change into one transaction: see uplink.Store.
	Group(ctx context.Context, change func(ctx context.Context) error) error

	// Node is the name of this process.
	Node() string
}

const topicPrefix = "devices/"

func ownFilter(deviceID, filter string) bool {
	rest, own := strings.CutPrefix(filter, topicPrefix+deviceID)
	if !own || rest != "" && rest[0] != '/' {
		return false
	}
	levels := strings.Split(rest, "/")
	for i, level := range levels {
		wildcard := strings.ContainsAny(level, "+#")
		if wildcard && len(level) > 1 || level == "#" && i < len(levels)-1 {
			return false
		}
	}
	return true
}

func matches(filter, topic string) bool {
	for {
		level, filterRest, filterMore := strings.Cut(filter, "/")
		if level == "#" {
			return true
		}
		name, topicRest, topicMore := strings.Cut(topic, "/")
		if level != "+" && level != name {
			return false
		}
		if !filterMore || !topicMore {
			return filterMore == topicMore || filterRest == "#" && !topicMore
		}
		filter, topic = filterRest, topicRest
	}
}

// granted returns the highest QoS of the filters that match the topic.
func granted(filters []Filter, topic string) (qos byte, subscribed bool) {
	for _, f := range filters {
		if matches(f.Topic, topic) {
			qos, subscribed = max(qos, f.QoS), true
		}
	}
	return qos, subscribed
}
