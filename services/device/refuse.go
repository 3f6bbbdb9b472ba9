package device

import (
	"context"
	"sync"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
)

// refusal is the data of an event about a message that was not taken.
type refusal struct {
	Topic     UpTopic `json:"topic"`
	Reason    string  `json:"reason"`
	Bytes     int     `json:"bytes"`
	Unnoted   int     `json:"unnoted,omitempty"` // refusals before it that were only counted
	ArrivedAt string  `json:"arrivedAt"`
	Sequence  uint64  `json:"sequence,omitempty"`
}

// How much the event log takes of one device.
const (
	refusalsAMinute = 6
	reportsAMinute  = 120
	maxNoted        = 100_000 // devices that are kept in mind
)

// refuse notes that the message was not taken, and why; of a device that is refused all the time, only
// now and then.
func (s *Service) refuse(ctx context.Context, m UpMessage, why *errs.Error) error {
	now := s.clock.Now()
	if !s.notes.may(refusals+m.DeviceID, refusalsAMinute, now) {
		return nil
	}
	e, err := noted(m.DeviceID, now, Refused, why.Message, m.DeviceID, refusal{
		Topic: m.Topic, Reason: why.Reason, Bytes: len(m.Payload), Unnoted: s.notes.skipped(refusals + m.DeviceID),
		ArrivedAt: m.ArrivedAt.UTC().Format(time.RFC3339Nano), Sequence: m.Sequence,
	})
	if err != nil {
		return err
	}
	return s.store.Note(ctx, e)
}

const refusals = "refusals "

// notes bounds how often a device's event log is written to for what the device does. It is safe for
// concurrent use.
type notes struct {
	mu sync.Mutex
	of map[string]*noting
}

type noting struct {
	since   time.Time // when the minute began
	noted   int       // in this minute
	skipped int       // since the last that was noted
}

func newNotes() *notes { return &notes{of: map[string]*noting{}} }

// may tells whether one more may be noted, and counts it.
func (n *notes) may(name string, perMinute int, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.of) >= maxNoted {
		clear(n.of) // rather than growing without end
	}
	c, known := n.of[name]
	if !known {
		c = &noting{since: now}
		n.of[name] = c
	}
	if now.Sub(c.since) >= time.Minute {
		c.since, c.noted = now, 0
	}
	if c.noted >= perMinute {
		c.skipped++
		return false
	}
	c.noted++
	return true
}

// skipped gives how many were not noted since it was last asked.
func (n *notes) skipped(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, known := n.of[name]
	if !known {
		return 0
	}
	skipped := c.skipped
	c.skipped = 0
	return skipped
}
