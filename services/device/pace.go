package device

import (
	"sync"
	"time"
)

// Pace limits how often a device's actions write to its event log. It is safe for concurrent use.
type Pace struct {
	mu sync.Mutex
	of map[string]*noting
}

// Rate is a token bucket: a burst, and a number per minute.
type Rate struct {
	AtOnce, AMinute int
}

// maxNoted bounds the number of token buckets in memory.
const maxNoted = 100_000

type noting struct {
	spent   float64 // tokens
	at      time.Time
	skipped int // since the last noted event
}

// NewPace returns an empty Pace.
func NewPace() *Pace { return &Pace{of: map[string]*noting{}} }

// May reports whether one more event may be noted, and counts it.
func (p *Pace) May(name string, rate Rate, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.of) >= maxNoted {
		clear(p.of) // bounds the memory
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

// Skipped returns the number of skipped events since the last call.
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
