package store

import (
	"time"

	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/activity"
)

func where(f activity.Filter) sqldb.Where {
	var w sqldb.Where
	sqldb.Narrow(&w, "kind", f.Kinds)
	sqldb.Narrow(&w, "source", f.Sources)
	if f.StartedFrom != nil {
		w.And("started_at >= ?", ceilMicros(*f.StartedFrom))
	}
	if f.StartedBefore != nil {
		w.And("started_at < ?", ceilMicros(*f.StartedBefore))
	}
	if f.AccountID != "" {
		w.And("account_id = ?", f.AccountID)
	}
	if f.DeviceID != "" {
		w.And("device_id = ?", f.DeviceID)
		w.And("device_id <> ''") // the words of the partial index, so that both planners use it
	}
	whereTexts(&w, f)
	if f.Cone != nil {
		within(&w, f.Cone.Cap())
	}
	return w
}

func ceilMicros(at time.Time) int64 {
	micros := sqldb.Micros(at)
	if sqldb.Time(micros).Before(at) {
		micros++
	}
	return micros
}

func narrow(w *sqldb.Where, visible entity.Visibility) {
	switch {
	case visible.All:
	case visible.Owner != "" && visible.Public:
		w.And("account_id IN ('', ?)", visible.Owner)
	case visible.Owner != "":
		w.And("account_id = ?", visible.Owner)
	case visible.Public:
		w.And("account_id = ''")
	default:
		w.And("1 = 0")
	}
}

// newestVisible returns a query of the columns, with started_at and id, over the visible rows that match w, the
// newest start first. It merges public rows and the rows of the account, each read from an index, so the cost of a
// page is constant.
func newestVisible(columns string, w *sqldb.Where, visible entity.Visibility) string {
	read := `SELECT ` + columns + ` FROM activities`
	if visible.All || visible.Owner == "" || !visible.Public {
		narrow(w, visible)
		return read + w.SQL() + newest().SQL()
	}
	mine := w.Arg(visible.Owner)
	owned := func(condition string) string {
		part := *w // shares the array of w, so its text is built before the next part
		part.And(condition)
		return read + part.SQL()
	}
	return owned("account_id = ''") + ` UNION ALL ` + owned("account_id = "+mine) + newest().SQL()
}

func whereTexts(w *sqldb.Where, f activity.Filter) {
	for _, same := range []struct{ column, text string }{
		{"actor_folded", f.Actor},
		{"telescope_folded", f.Telescope},
		{"instrument_folded", f.Instrument},
		{"programme_folded", f.Programme},
		{"observer_folded", f.Observer},
		{"target_folded", f.Target},
		{"status_folded", f.Status},
	} {
		if same.text != "" {
			w.And(same.column+" = ?", sqldb.Fold(same.text))
		}
	}
}

// within compares squared chords: see activity.Cap. The index on sky_z restricts the scan to the band of declination.
func within(w *sqldb.Where, c activity.Cap) {
	w.And("sky_z BETWEEN ? AND ?", c.MinZ, c.MaxZ)
	x, y, z := w.Arg(c.Axis.X), w.Arg(c.Axis.Y), w.Arg(c.Axis.Z)
	chord := "(sky_x - " + x + ") * (sky_x - " + x + ")" +
		" + (sky_y - " + y + ") * (sky_y - " + y + ")" +
		" + (sky_z - " + z + ") * (sky_z - " + z + ")"
	if c.Beyond {
		w.And(chord+" >= ?", c.SquaredChord)
		return
	}
	w.And(chord+" <= ?", c.SquaredChord)
}
