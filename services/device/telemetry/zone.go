package telemetry

import "time"

// Offset is the offset of a time zone from UTC, from an instant on, in microseconds.
type Offset struct {
	Since  int64 // since 1970
	Micros int64
}

// Offsets lists the offsets of the zone of the query within its time, the earliest first. Without a zone it is empty.
func (q Query) Offsets() []Offset {
	if q.Zone == nil || q.Zone == time.UTC {
		return nil
	}
	var all []Offset
	for at := q.From.In(q.Zone); ; {
		_, seconds := at.Zone()
		all = append(all, Offset{Since: at.UnixMicro(), Micros: int64(seconds) * 1e6})
		_, end := at.ZoneBounds()
		if end.IsZero() || !end.Before(q.To) {
			return all
		}
		at = end
	}
}

// LocalSteps reports whether steps are of local time: the days of a zone have 23, 24 or 25 hours. Steps of up to an hour
// are of real time, so an hour that the clocks repeat has its own steps.
func (q Query) LocalSteps() bool { return q.Step > time.Hour && len(q.Offsets()) > 0 }

// StartOf returns the instant of a step that starts at a local time, which is given as if it were UTC.
func (q Query) StartOf(local int64) time.Time {
	t := time.UnixMicro(local).UTC()
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), q.Zone).UTC()
}
