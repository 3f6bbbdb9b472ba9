package device

import (
	"sync"
	"time"
)

// Pace bounds how often a device's event log is written to for what the device does. It is safe for
// concurrent use.
type Pace struct {
	mu sync.Mutex
	of map[string]*noting
}

// maxNoted bounds what is kept in mind.
const maxNoted = 100_000

type noting struct {
	since   time.Time // when the minute began
	noted   int       // in this minute
	skipped int       // since the last that was noted
}

// NewPace gives a Pace that has noted nothing.
func NewPace() *Pace { return &Pace{of: map[string]*noting{}} }

// May tells whether one more may be noted, and counts it.
func (p *Pace) May(name string, perMinute int, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.of) >= maxNoted {
		clear(p.of) // rather than growing without end
	}
	c, known := p.of[name]
	if !known {
		c = &noting{since: now}
		p.of[name] = c
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

// Skipped gives how many were not noted since it was last asked.
func (p *Pace) Skipped(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, known := p.of[name]
	if !known {
		return 0
	}
	skipped := c.skipped
	c.skipped = 0
	return skipped
}
