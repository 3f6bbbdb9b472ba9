package device

import (
	"testing"
	"time"
)

func TestTheLatestPositionIsKept(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	later := noon.Add(time.Second)
	untimed, other := &Position{Latitude: 1}, &Position{Latitude: 2}
	early, alsoEarly, late := &Position{Latitude: 3, At: &noon}, &Position{Latitude: 4, At: &noon}, &Position{Latitude: 5, At: &later}
	for name, c := range map[string]struct{ known, found, want *Position }{
		"nothing is known or found":          {nil, nil, nil},
		"the first that is found":            {nil, untimed, untimed},
		"nothing is found":                   {untimed, nil, untimed},
		"one without a time after another":   {untimed, other, other},
		"one with a time after one without":  {untimed, early, early},
		"one without a time after one with":  {early, untimed, early},
		"a later one":                        {early, late, late},
		"an earlier one":                     {late, early, late},
		"another at the same time: the new ": {early, alsoEarly, alsoEarly},
	} {
		if got := Latest(c.known, c.found); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestPositionsAreTheSameByValue(t *testing.T) {
	t.Parallel()
	place := func(change func(p *Position)) *Position {
		at, accuracy := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), 5.0
		p := &Position{Latitude: 1, Longitude: 2, At: &at, Accuracy: &accuracy, Place: "gate"}
		change(p)
		return p
	}
	as := place(func(*Position) {})
	if !SamePosition(as, place(func(*Position) {})) || !SamePosition(nil, nil) {
		t.Error("what is the same is told apart")
	}
	for name, other := range map[string]*Position{
		"none":             nil,
		"latitude":         place(func(p *Position) { p.Latitude = 0 }),
		"longitude":        place(func(p *Position) { p.Longitude = 0 }),
		"time":             place(func(p *Position) { *p.At = p.At.Add(1) }),
		"without time":     place(func(p *Position) { p.At = nil }),
		"accuracy":         place(func(p *Position) { *p.Accuracy = 6 }),
		"without accuracy": place(func(p *Position) { p.Accuracy = nil }),
		"place":            place(func(p *Position) { p.Place = "" }),
	} {
		if SamePosition(as, other) || SamePosition(other, as) {
			t.Errorf("another %s is not told apart", name)
		}
	}
}
