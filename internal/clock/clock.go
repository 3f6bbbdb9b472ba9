// Package clock is the source of time, which a test can control. Times are UTC in whole microseconds, a precision
// that every store preserves, so a stored time equals the time in the first response.
package clock

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Clock returns the time and measures delays.
type Clock interface {
	Now() time.Time
	// NewTimer returns a timer that fires once after d on this clock.
	NewTimer(d time.Duration) *Timer
}

// Timer fires once: C receives a value. Stop releases the timer.
type Timer struct {
	C    <-chan time.Time
	Stop func()
}

// Sleep waits until d has passed on the clock, or returns the error of ctx.
func Sleep(ctx context.Context, c Clock, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Backoff returns the delay before the next attempt after a number of failures in a row (from 1). It doubles with
// each failure from minimum to maximum. The jitter in [0, 1) shortens it by up to a half, so that clients that failed
// together do not retry together.
func Backoff(failures int, minimum, maximum time.Duration, jitter float64) time.Duration {
	delay := minimum
	for i := 1; i < failures && delay < maximum; i++ {
		delay *= 2
	}
	delay = min(delay, maximum)
	return delay - time.Duration(jitter*float64(delay)/2)
}

// System is the clock of the machine.
type System struct{}

// Now implements Clock.
func (System) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// NewTimer implements Clock.
func (System) NewTimer(d time.Duration) *Timer {
	timer := time.NewTimer(d)
	return &Timer{C: timer.C, Stop: func() { timer.Stop() }}
}

// Manual is a clock that moves only when Advance is called. The zero value shows the zero time.
type Manual struct {
	mu     sync.Mutex
	now    time.Time
	timers []*manualTimer
}

type manualTimer struct {
	at    time.Time
	fired chan time.Time
}

// NewManual returns a clock that shows now.
func NewManual(now time.Time) *Manual {
	return &Manual{now: now.UTC().Truncate(time.Microsecond)}
}

// Now implements Clock.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// NewTimer implements Clock.
func (m *Manual) NewTimer(d time.Duration) *Timer {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &manualTimer{at: m.now.Add(d), fired: make(chan time.Time, 1)}
	m.timers = append(m.timers, t)
	m.fireTimers()
	return &Timer{C: t.fired, Stop: func() { m.stop(t) }}
}

// Advance moves the clock forward and fires the timers that are due.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d).Truncate(time.Microsecond)
	m.fireTimers()
}

func (m *Manual) fireTimers() {
	m.timers = slices.DeleteFunc(m.timers, func(t *manualTimer) bool {
		if t.at.After(m.now) {
			return false
		}
		t.fired <- m.now
		return true
	})
}

func (m *Manual) stop(t *manualTimer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.timers = slices.DeleteFunc(m.timers, func(other *manualTimer) bool { return other == t })
}
