package page_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/page"
)

func TestCursorsReadBack(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 8, 0, 0, 123000, time.UTC)
	c := page.AtTime("newest", at, "trip_1")
	got, ok, err := page.ParseCursor("newest", c.String())
	if err != nil || !ok || got != c {
		t.Fatalf("read back %+v, %v, %v; want %+v", got, ok, err, c)
	}
	if micros, err := got.Micros(); err != nil || micros != at.UnixMicro() {
		t.Errorf("key %d, %v; want %d", micros, err, at.UnixMicro())
	}
}

func TestForeignCursorsAreRefused(t *testing.T) {
	t.Parallel()
	good := page.AtTime("newest", time.Now(), "trip_1").String()
	for _, text := range []string{"x", "%%%", good[:len(good)-3] + "!", strings.Repeat("A", 5000), "AAAA"} {
		if _, _, err := page.ParseCursor("newest", text); err == nil {
			t.Errorf("ParseCursor(%.20q) passes", text)
		}
	}
	if _, _, err := page.ParseCursor("name", good); err == nil {
		t.Error("a cursor of another order passes")
	}
	if _, ok, err := page.ParseCursor("newest", ""); ok || err != nil {
		t.Errorf("no cursor: %v, %v", ok, err)
	}
}

func TestSizeIsBounded(t *testing.T) {
	t.Parallel()
	for first, want := range map[int]int{0: page.Default, 1: 1, page.Max: page.Max} {
		if got, err := (page.Request{First: first}).Size(); err != nil || got != want {
			t.Errorf("first %d: %d, %v; want %d", first, got, err, want)
		}
	}
	for _, first := range []int{-1, page.Max + 1} {
		if _, err := (page.Request{First: first}).Size(); err == nil {
			t.Errorf("first %d passes", first)
		}
	}
}

func TestAPageOfNothing(t *testing.T) {
	t.Parallel()
	if p, err := page.Empty[int](page.Request{}); err != nil || p.Total != nil || len(p.Items) != 0 || p.HasNext {
		t.Errorf("got %+v, %v", p, err)
	}
	if p, err := page.Empty[int](page.Request{WithTotal: true}); err != nil || p.Total == nil || *p.Total != 0 {
		t.Errorf("with its total: %+v, %v", p, err)
	}
	if _, err := page.Empty[int](page.Request{First: -1}); err == nil {
		t.Error("a page of -1 passes")
	}
}

func FuzzParseCursor(f *testing.F) {
	f.Add(page.AtTime("newest", time.Now(), "trip_1").String())
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		c, ok, err := page.ParseCursor("newest", text)
		if err != nil || !ok {
			return
		}
		if again, _, err := page.ParseCursor("newest", c.String()); err != nil || again != c {
			t.Errorf("%q reads as %+v, which reads back as %+v, %v", text, c, again, err)
		}
	})
}
