package device

import (
	"testing"
	"time"
)

func TestAFloodOfNotesIsBounded(t *testing.T) {
	t.Parallel()
	n, now, rate := NewPace(), time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC), Rate{AtOnce: 6, AMinute: 2}
	noted := 0
	for range 1000 {
		if n.May("d", rate, now) {
			noted++
		}
	}
	if noted != 6 || n.Skipped("d") != 994 || n.Skipped("d") != 0 {
		t.Errorf("noted %d", noted)
	}
	if !n.May("other", rate, now) || !n.May("d", rate, now.Add(30*time.Second)) {
		t.Error("another device, or another time, is held back")
	}
	if n.May("d", rate, now.Add(45*time.Second)) || !n.May("d", rate, now.Add(time.Minute)) {
		t.Error("it is not two a minute")
	}
}
