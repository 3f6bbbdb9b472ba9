package abuse

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/bff"
)

// reasons have a counter each; the last one counts all others.
var reasons = [...]string{"BUDGET_EXHAUSTED", "TOO_MANY_REQUESTS_IN_FLIGHT", ReasonTripped, ReasonLoop, "OVERLOADED", "OTHER"}

func reasonOf(reason string) int {
	if i := slices.Index(reasons[:], reason); i >= 0 {
		return i
	}
	return len(reasons) - 1
}

// count is the usage of a caller in one period.
type count struct {
	stretch  int64 // since 1970
	requests uint32
	failed   uint32
	faults   uint32
	points   uint32
	refused  [len(reasons)]uint32 // by reason
}

func (c *count) add(outcome bff.Outcome) {
	c.requests++
	c.points += uint32(max(min(outcome.Points, 1<<20), 0))
	switch {
	case outcome.Refused != "":
		c.refused[reasonOf(outcome.Refused)]++
	case outcome.Fault == bff.FaultCaller:
		c.failed++
	case outcome.Fault == bff.FaultOurs:
		c.faults++
	}
}

// tally counts in stretches: a window is a number of the latest ones, of which the last has only begun.
type tally struct {
	minute [6]count
	hour   [12]count
	day    [24]count
}

func (t *tally) add(outcome bff.Outcome, now time.Time) {
	for _, window := range [...]bff.CallWindow{bff.LastMinute, bff.LastHour, bff.LastDay} {
		counts, long := t.window(window)
		stretch := now.UnixNano() / int64(long)
		at := &counts[stretch%int64(len(counts))]
		if at.stretch != stretch {
			*at = count{stretch: stretch}
		}
		at.add(outcome)
	}
}

func (t *tally) window(window bff.CallWindow) (counts []count, stretch time.Duration) {
	switch window {
	case bff.LastMinute:
		return t.minute[:], 10 * time.Second
	case bff.LastDay:
		return t.day[:], time.Hour
	}
	return t.hour[:], 5 * time.Minute
}

// Usage implements bff.Abuse; equal callers are ordered by name.
func (c *Callers) Usage(_ context.Context, window bff.CallWindow) ([]*bff.CallerUsage, error) {
	now := time.Now()
	var all []*bff.CallerUsage
	for r := range c.known.Values() {
		if u := r.usage(window, now); u.Requests > 0 || len(u.Breakers) > 0 {
			all = append(all, u)
		}
	}
	slices.SortFunc(all, func(a, b *bff.CallerUsage) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), strings.Compare(a.Name, b.Name))
	})
	return all[:min(len(all), maxUsage)], nil
}

// maxUsage bounds the callers of one report.
const maxUsage = 1000

func (r *record) usage(window bff.CallWindow, now time.Time) *bff.CallerUsage {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := &bff.CallerUsage{
		Name: r.name, Kind: bff.CallerNetwork, AccountID: r.who.AccountID, APIKeyID: r.who.APIKeyID, LastSeenAt: r.seen.UTC(),
		Refusals: []*bff.RefusalCount{}, Breakers: []*bff.CallerBreaker{},
	}
	switch {
	case u.APIKeyID != "":
		u.Kind = bff.CallerAPIKey
	case u.AccountID != "":
		u.Kind = bff.CallerAccount
	}
	r.tally.view(u, window, now)
	for _, kind := range []bff.OperationKind{bff.KindQuery, bff.KindMutation, bff.KindSubscription, bff.KindCredentials} {
		if b := r.breakers[kind]; b != nil {
			if told := b.view(); told != nil {
				u.Breakers = append(u.Breakers, told)
			}
		}
	}
	for _, l := range r.loops {
		if told := l.view(r.options, now); told != nil {
			u.Breakers = append(u.Breakers, told)
		}
	}
	return u
}

func (t *tally) view(u *bff.CallerUsage, window bff.CallWindow, now time.Time) {
	counts, long := t.window(window)
	oldest := now.UnixNano()/int64(long) - int64(len(counts)) + 1
	var refused [len(reasons)]int
	for _, c := range counts {
		if c.stretch < oldest {
			continue
		}
		u.Requests += int(c.requests)
		u.Failed += int(c.failed)
		u.Faults += int(c.faults)
		u.Points += int(c.points)
		for i, n := range c.refused {
			refused[i] += int(n)
			u.Refused += int(n)
		}
	}
	for i, n := range refused {
		if n > 0 {
			u.Refusals = append(u.Refusals, &bff.RefusalCount{Reason: reasons[i], Count: n})
		}
	}
}
