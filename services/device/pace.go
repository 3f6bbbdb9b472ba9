package device

import (
	"sync"
	"time"
)

// Pace bounds how often a device's event log is written to for what the device does. It is safe for concurrent use.
type Pace struct {
	mu sync.Mutex
	of map[string]*noting
}

// Rate is how often something may be noted: so many at once, and so many a minute in the long run.
type Rate struct {
	AtOnce, AMinute int
}

// maxNoted bounds the number of token buckets in memory.
const maxNoted = 100_000

type noting struct {
	spent   float64 // of what may be noted at once
	at      time.Time
	skipped int // since the last that was noted
}

// NewPace returns a Pace that has noted nothing.
func NewPace() *Pace { return &Pace{of: map[string]*noting{}} }

// May reports whether one more may be noted, and counts it.
func (p *Pace) May(name string, rate Rate, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.of) >= maxNoted {
		clear(p.of) // rather than growing without end
	}
	c, known := p.of[name]
	if !known {
		c = &noting{at: now}
		p.of[name] = c
	}
	c.spent = max(0, c.spent-max(0, now.Sub(c.at).Minutes())*float64(rate.AMinute))
	c.at = now
	if c.spent > float64(rate.AtOnce)-1 {
		c.skipped++
		return false
	}
	c.spent++
	return true
}

// Skipped returns how many were not noted since the last call.
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
