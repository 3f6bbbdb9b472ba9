package presence_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicehq/sluice/services/device/presence"
)

const (
	grace = 30 * time.Second
	wait  = 90 * time.Second
)

func at(seconds int) time.Time {
	return time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second)
}

type step func(presence.State) presence.State

func signal(kind presence.Kind, seconds int) step {
	return func(s presence.State) presence.State {
		return s.After(presence.Signal{Kind: kind, At: at(seconds)}, grace)
	}
}

func connected(seconds int) step { return signal(presence.Connected, seconds) }
func went(seconds int) step      { return signal(presence.Disconnected, seconds) }
func got(seconds int) step       { return signal(presence.Active, seconds) }
func look(seconds int) step {
	return func(s presence.State) presence.State { return s.Expired(at(seconds)) }
}
func restart(seconds int) step {
	return func(s presence.State) presence.State { return s.Doubted(at(seconds), wait) }
}
func missed(seconds int) step {
	return func(s presence.State) presence.State { return s.Missed(at(seconds), grace) }
}

func TestPresence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what      string
		steps     []step
		want      presence.Presence
		published string // what others got, in order
	}{
		{"was never got", nil, presence.Unknown, ""},
		{"comes", []step{connected(0)}, presence.Online, "ONLINE "},
		{"speaks without having been seen to come", []step{got(0)}, presence.Online, "ONLINE "},
		{"goes for good", []step{connected(0), went(10), look(39), look(40)}, presence.Offline, "ONLINE OFFLINE "},
		{"is in its grace", []step{connected(0), went(10), look(39)}, presence.Online, "ONLINE "},
		{"comes back in time", []step{connected(0), went(10), connected(20), look(100)}, presence.Online, "ONLINE "},
		{"comes back too late", []step{connected(0), went(10), look(40), connected(50)}, presence.Online, "ONLINE OFFLINE ONLINE "},
		{"is seen to go after it came back", []step{connected(0), connected(20), went(10), look(100)}, presence.Online, "ONLINE "},
		{"is got of late", []step{connected(0), went(10), got(5), look(40)}, presence.Offline, "ONLINE OFFLINE "},
		{"is got after it went", []step{connected(0), went(10), got(11), look(100)}, presence.Online, "ONLINE "},
		{"came before a restart", []step{connected(0), restart(10)}, presence.Unknown, "ONLINE "},
		{"comes back after a restart", []step{connected(0), restart(10), connected(99), look(200)}, presence.Online, "ONLINE "},
		{"speaks after a restart", []step{connected(0), restart(10), got(11), look(200)}, presence.Online, "ONLINE "},
		{"stays away after a restart", []step{connected(0), restart(10), look(99), look(100)}, presence.Offline, "ONLINE OFFLINE "},
		{"had gone before a restart", []step{connected(0), went(5), restart(10), look(36)}, presence.Unknown, "ONLINE "},
		{"was offline at a restart", []step{connected(0), went(5), look(35), restart(40), look(1000)}, presence.Offline, "ONLINE OFFLINE "},
		{"was never got before a restart", []step{restart(0), look(1000)}, presence.Unknown, ""},
		{"went unnoticed", []step{connected(0), missed(100), missed(120), look(129), look(130)}, presence.Offline, "ONLINE OFFLINE "},
		{"survives two restarts", []step{connected(0), restart(10), restart(20), connected(30)}, presence.Online, "ONLINE "},
	} {
		s, published := run(c.steps)
		if s.Presence != c.want || published != c.published {
			t.Errorf("a device that %s is %s, published %q; want %s, published %q", c.what, s.Presence, published, c.want, c.published)
		}
	}
}

func run(steps []step) (s presence.State, published string) {
	s = presence.State{Presence: presence.Unknown, Published: presence.Unknown}
	for _, step := range steps {
		before := s.Published
		if s = step(s); s.Published != before {
			published += string(s.Published) + " "
		}
	}
	return s, published
}

// Whatever is noticed in whatever order: what is published is never UNKNOWN again once anything else was published
// anything, a device that is not due was published as it is, and who is due becomes OFFLINE in the end.
func TestPresenceUnderAnySignals(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		s, trail := presence.State{Presence: presence.Unknown, Published: presence.Unknown}, ""
		for now := range 30 {
			before := s
			back := max(0, now-random.IntN(5))
			steps := []step{connected(back), went(back), got(back), look(now * 10), restart(now), missed(now)}
			i := random.IntN(len(steps))
			s, trail = steps[i](s), trail+fmt.Sprint(i, "@", back, " ")
			switch {
			case s.Published == presence.Unknown && before.Published != presence.Unknown:
				t.Fatalf("%s: published UNKNOWN", trail)
			case s.Due == nil && s.Presence != s.Published:
				t.Fatalf("%s: is %s for good, published %s", trail, s.Presence, s.Published)
			case s.Due != nil && s.Expired(*s.Due).Presence != presence.Offline:
				t.Fatalf("%s: is due for ever", trail)
			case s.At.Before(before.At):
				t.Fatalf("%s: goes back in time", trail)
			}
		}
	}
}
