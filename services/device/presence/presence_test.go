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

func came(seconds int) step  { return signal(presence.Came, seconds) }
func went(seconds int) step  { return signal(presence.Went, seconds) }
func heard(seconds int) step { return signal(presence.Heard, seconds) }
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
		what  string
		steps []step
		want  presence.Presence
		told  string // what others heard, in order
	}{
		{"was never heard", nil, presence.Unknown, ""},
		{"comes", []step{came(0)}, presence.Online, "ONLINE "},
		{"speaks without having been seen to come", []step{heard(0)}, presence.Online, "ONLINE "},
		{"goes for good", []step{came(0), went(10), look(39), look(40)}, presence.Offline, "ONLINE OFFLINE "},
		{"is in its grace", []step{came(0), went(10), look(39)}, presence.Online, "ONLINE "},
		{"comes back in time", []step{came(0), went(10), came(20), look(100)}, presence.Online, "ONLINE "},
		{"comes back too late", []step{came(0), went(10), look(40), came(50)}, presence.Online, "ONLINE OFFLINE ONLINE "},
		{"is seen to go after it came back", []step{came(0), came(20), went(10), look(100)}, presence.Online, "ONLINE "},
		{"is heard of late", []step{came(0), went(10), heard(5), look(40)}, presence.Offline, "ONLINE OFFLINE "},
		{"is heard after it went", []step{came(0), went(10), heard(11), look(100)}, presence.Online, "ONLINE "},
		{"came before a restart", []step{came(0), restart(10)}, presence.Unknown, "ONLINE "},
		{"comes back after a restart", []step{came(0), restart(10), came(99), look(200)}, presence.Online, "ONLINE "},
		{"speaks after a restart", []step{came(0), restart(10), heard(11), look(200)}, presence.Online, "ONLINE "},
		{"stays away after a restart", []step{came(0), restart(10), look(99), look(100)}, presence.Offline, "ONLINE OFFLINE "},
		{"had gone before a restart", []step{came(0), went(5), restart(10), look(36)}, presence.Unknown, "ONLINE "},
		{"was offline at a restart", []step{came(0), went(5), look(35), restart(40), look(1000)}, presence.Offline, "ONLINE OFFLINE "},
		{"was never heard before a restart", []step{restart(0), look(1000)}, presence.Unknown, ""},
		{"went unnoticed", []step{came(0), missed(100), missed(120), look(129), look(130)}, presence.Offline, "ONLINE OFFLINE "},
		{"survives two restarts", []step{came(0), restart(10), restart(20), came(30)}, presence.Online, "ONLINE "},
	} {
		s, told := run(c.steps)
		if s.Presence != c.want || told != c.told {
			t.Errorf("a device that %s is %s, told %q; want %s, told %q", c.what, s.Presence, told, c.want, c.told)
		}
	}
}

func run(steps []step) (s presence.State, told string) {
	s = presence.State{Presence: presence.Unknown, Told: presence.Unknown}
	for _, step := range steps {
		before := s.Told
		if s = step(s); s.Told != before {
			told += string(s.Told) + " "
		}
	}
	return s, told
}

// Whatever is noticed in whatever order: what others were told is never UNKNOWN once they were told
// anything, a device that is not due was told as it is, and who is due becomes OFFLINE in the end.
func TestPresenceUnderAnySignals(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		s, trail := presence.State{Presence: presence.Unknown, Told: presence.Unknown}, ""
		for now := range 30 {
			before := s
			back := max(0, now-random.IntN(5))
			steps := []step{came(back), went(back), heard(back), look(now * 10), restart(now), missed(now)}
			i := random.IntN(len(steps))
			s, trail = steps[i](s), trail+fmt.Sprint(i, "@", back, " ")
			switch {
			case s.Told == presence.Unknown && before.Told != presence.Unknown:
				t.Fatalf("%s: told UNKNOWN", trail)
			case s.Due == nil && s.Presence != s.Told:
				t.Fatalf("%s: is %s for good, told %s", trail, s.Presence, s.Told)
			case s.Due != nil && s.Expired(*s.Due).Presence != presence.Offline:
				t.Fatalf("%s: is due for ever", trail)
			case s.At.Before(before.At):
				t.Fatalf("%s: goes back in time", trail)
			}
		}
	}
}
