package bus_test

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/bus"
)

func TestEventSubject(t *testing.T) {
	t.Parallel()
	got, err := bus.EventSubject("trip", "changed", "trip_01jd2k0f3qe8x9w5t7v6m4n2p0")
	if err != nil || got != "event.trip.changed.trip_01jd2k0f3qe8x9w5t7v6m4n2p0" {
		t.Errorf("%q, %v", got, err)
	}
	for _, id := range []string{"", ".", "a.b", "*", ">", "a b", "a\tb", "a\r\nb", "é", "a\x00", strings.Repeat("a", 129)} {
		if got, err := bus.EventSubject("trip", "changed", id); err == nil {
			t.Errorf("the id %q makes %q", id, got)
		}
		if got, err := bus.EventSubject(id, "changed", "trip_1"); err == nil {
			t.Errorf("the entity %q makes %q", id, got)
		}
		if got, err := bus.EventSubject("trip", id, "trip_1"); err == nil {
			t.Errorf("the change %q makes %q", id, got)
		}
	}
}

func FuzzParseEventSubject(f *testing.F) {
	for _, seed := range []string{"event.trip.changed.trip_1", "event.trip.changed", "event.a.b.c.d", "job.run.run_1", "event.*.>.x", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		entity, change, id, err := bus.ParseEventSubject(subject)
		if err != nil {
			return
		}
		if again, err := bus.EventSubject(entity, change, id); err != nil || again != subject {
			t.Errorf("%q is read as %q %q %q, which make %q, %v", subject, entity, change, id, again, err)
		}
	})
}
