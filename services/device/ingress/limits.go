package ingress

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Event types of the listener in a device's events.
const (
	Throttled       = "MESSAGES_THROTTLED"
	Refused         = "CONNECTION_REFUSED"
	Closed          = "CONNECTION_CLOSED"
	connectMessages = 20 // tokens of a CONNECT in the message rate: it writes the session
)

// limiter has the token buckets of a device, for all its connections.
type limiter struct {
	messages, bytes *rate.Limiter
	mu              sync.Mutex
	used            time.Time
}

// limiters have the token buckets of the devices in this process. A bucket outlives its connections, so that a
// reconnect does not fill it.
type limiters struct {
	limits Limits
	mu     sync.Mutex
	of     map[string]*limiter
}

func newLimiters(limits Limits) *limiters {
	return &limiters{limits: limits, of: map[string]*limiter{}}
}

func (l *limiters) get(deviceID string) *limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.of[deviceID]
	if found == nil {
		burst := l.limits.Burst.Seconds()
		found = &limiter{
			messages: rate.NewLimiter(rate.Limit(l.limits.Messages), max(connectMessages, int(float64(l.limits.Messages)*burst))),
			bytes:    rate.NewLimiter(rate.Limit(l.limits.Bytes), max(l.limits.MaxPacket, int(float64(l.limits.Bytes)*burst))),
		}
		l.of[deviceID] = found
	}
	found.touch(time.Now())
	return found
}

func (l *limiter) touch(now time.Time) {
	l.mu.Lock()
	l.used = now
	l.mu.Unlock()
}

// sweep drops full buckets without a connection.
func (l *limiters) sweep(ctx context.Context) {
	for ctx.Err() == nil {
		sleep(ctx, time.Minute)
		l.mu.Lock()
		for id, one := range l.of {
			one.mu.Lock()
			idle := time.Since(one.used) > time.Minute+2*l.limits.Burst
			one.mu.Unlock()
			if idle {
				delete(l.of, id)
			}
		}
		l.mu.Unlock()
	}
}

// reserve takes tokens, and returns the delay of the packet.
func (l *limiter) reserve(messages, bytes int) time.Duration {
	now := time.Now()
	l.touch(now)
	return max(l.messages.ReserveN(now, messages).DelayFrom(now), l.bytes.ReserveN(now, bytes).DelayFrom(now))
}

// reserveConnect takes the tokens of a CONNECT, and returns its delay. It takes none if the delay exceeds
// maxConnectDelay, so that a device that reconnects in a loop does not accumulate waiting connections.
func (l *limiter) reserveConnect() (delay time.Duration, ok bool) {
	now := time.Now()
	l.touch(now)
	r := l.messages.ReserveN(now, connectMessages)
	if delay = r.DelayFrom(now); delay > maxConnectDelay {
		r.CancelAt(now)
		return 0, false
	}
	return delay, true
}

// allow takes tokens for one packet if they are available now.
func (l *limiter) allow(bytes int) bool {
	now := time.Now()
	l.touch(now)
	one := l.messages.ReserveN(now, 1)
	many := l.bytes.ReserveN(now, bytes)
	if one.DelayFrom(now) == 0 && many.DelayFrom(now) == 0 {
		return true
	}
	one.CancelAt(now)
	many.CancelAt(now)
	return false
}

// guests are connections before an accepted CONNECT. Over the limit the oldest is closed, not the newest, so that a
// flood does not refuse a client with the right secret.
type guests struct {
	limits Limits
	mu     sync.Mutex
	all    []*conn // the oldest first
	count  map[string]int
	// failures counts wrong secrets by address. It only delays the response to a wrong secret.
	failures map[string]*failures
}

type failures struct {
	count float64
	at    time.Time
}

const (
	maxAddresses  = 100_000
	failureDecay  = 10 * time.Second // after which one failure expires
	freeFailures  = 3
	maxFailureLag = 5 * time.Second
	// maxConnectDelay also bounds the delay of a device's other messages.
	maxConnectDelay = time.Second
)

func newGuests(limits Limits) *guests {
	return &guests{limits: limits, count: map[string]int{}, failures: map[string]*failures{}}
}

func (g *guests) add(c *conn) {
	g.mu.Lock()
	var victim *conn
	switch {
	case g.count[c.address] >= g.limits.UnauthenticatedPerAddress:
		for _, other := range g.all {
			if other.address == c.address {
				victim = other
				break
			}
		}
	case len(g.all) >= g.limits.Unauthenticated:
		victim = g.all[0]
	}
	g.all = append(g.all, c)
	g.count[c.address]++
	if victim != nil {
		g.drop(victim)
	}
	g.mu.Unlock()
	if victim != nil {
		_ = victim.net.Close() // fails only when it is already closed
	}
}

// remove drops a connection that is accepted or has ended.
func (g *guests) remove(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(c)
}

func (g *guests) drop(c *conn) {
	for i, other := range g.all {
		if other != c {
			continue
		}
		g.all = append(g.all[:i], g.all[i+1:]...)
		if g.count[c.address]--; g.count[c.address] <= 0 {
			delete(g.count, c.address)
		}
		return
	}
}

func (g *guests) closeAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.all {
		_ = c.net.Close() // fails only when it is already closed
	}
}

// fail counts a wrong secret of the address, and returns the delay of the response.
func (g *guests) fail(address string) time.Duration {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.failures) >= maxAddresses {
		clear(g.failures)
	}
	f := g.failures[address]
	if f == nil {
		f = &failures{at: now}
		g.failures[address] = f
	}
	f.count = max(0, f.count-now.Sub(f.at).Seconds()/failureDecay.Seconds()) + 1
	f.at = now
	if f.count <= freeFailures {
		return 0
	}
	return min(time.Duration((f.count-freeFailures)*float64(250*time.Millisecond)), maxFailureLag)
}
