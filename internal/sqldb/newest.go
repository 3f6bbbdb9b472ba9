package sqldb

import (
	"time"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
)

// Newest is the order of a list by time, newest first, then by id.
type Newest struct {
	Name   string   // of the order, part of its cursors
	Column string   // the times, in microseconds
	Kind   ids.Kind // of the ids of the rows
}

// SQL returns " ORDER BY …".
func (o Newest) SQL() string { return " ORDER BY " + o.Column + " DESC, id DESC" }

// Cursor returns the position of a row.
func (o Newest) Cursor(at time.Time, id string) page.Cursor { return page.AtTime(o.Name, at, id) }

// After adds the condition that a row is after the cursor, which must be of this order or "".
func (o Newest) After(w *Where, cursor string) error {
	c, ok, err := page.ParseCursor(o.Name, cursor)
	if err != nil || !ok {
		return err
	}
	at, err := c.Micros()
	if err != nil {
		return err
	}
	if ids.Check(o.Kind, c.ID) != nil {
		return page.InvalidCursor()
	}
	w.And("("+o.Column+", id) < (?, ?)", at, c.ID)
	return nil
}
