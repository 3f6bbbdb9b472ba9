package device

import (
	"testing"
	"time"
)

func TestAFloodOfNotesIsBounded(t *testing.T) {
	t.Parallel()
	n, now := NewPace(), time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)
	noted := 0
	for range 1000 {
		if n.May("d", 6, now) {
			noted++
		}
	}
	if noted != 6 || n.Skipped("d") != 994 || n.Skipped("d") != 0 {
		t.Errorf("noted %d", noted)
	}
	if !n.May("other", 6, now) || !n.May("d", 6, now.Add(time.Minute)) {
		t.Error("another device, or another minute, is held back")
	}
}
