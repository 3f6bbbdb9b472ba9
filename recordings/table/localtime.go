package table

import (
	"io"
	"iter"
	"slices"
	"time"

	"github.com/sluicehq/sluice/recordings/internal/value"
)

// Occurrences of a local time that the clocks repeat.
const (
	firstOccurrence  = 1
	secondOccurrence = 2
)

// maxAmbiguous bounds the buffer for ambiguous local times: two hours at one row per second, from two devices.
const maxAmbiguous = 20_000

// inOrder yields all rows. Local times without an offset are ambiguous for an hour when the clocks are set back. The
// order of the rows resolves them: in a series that is ordered by time, the repeated hour starts where the local time
// does not increase. Rows of this hour are buffered until their series has passed it. Otherwise the occurrence stays
// unknown, and parsing the time is an error.
func (s *sheet) inOrder() iter.Seq2[cells, error] {
	return func(yield func(cells, error) bool) {
		b := repeatedHour{open: map[string]bool{}}
		for {
			c, err := s.next()
			if err == io.EOF {
				b.flush(yield)
				return
			}
			if err == nil && s.opts.Zone() != time.UTC && has(c.at, "time") {
				b.note(&c)
			}
			if len(b.rows) == 0 && len(b.open) == 0 {
				if !yield(c, err) || err != nil && !isFault(err) {
					return
				}
				continue
			}
			b.add(c, err)
			fatal := err != nil && !isFault(err)
			if fatal || len(b.open) == 0 || len(b.rows) >= maxAmbiguous {
				if !b.flush(yield) || fatal {
					return
				}
			}
		}
	}
}

// repeatedHour buffers rows from the first ambiguous local time of a series.
type repeatedHour struct {
	rows []bufferedRow
	open map[string]bool // series whose last row is ambiguous
	last bufferedRow     // the ambiguous time of the current row
}

type bufferedRow struct {
	cells     cells
	err       error
	ambiguous bool
	series    string
	at        time.Time // the first of the two instants
}

func (b *repeatedHour) note(c *cells) {
	id := ""
	if c.text("point") != "" { // elsewhere an id may be that of the row
		id = c.text("id")
	}
	b.last = bufferedRow{series: value.Key(c.text("device"), c.text("vehicle"), c.text("trip"), id)}
	i, err := c.instant("time")
	if err != nil {
		return
	}
	if i.Ambiguous() {
		b.last.ambiguous, b.last.at = true, i.First
		b.open[b.last.series] = true
		return
	}
	delete(b.open, b.last.series)
}

func (b *repeatedHour) add(c cells, err error) {
	row := b.last
	if row.cells, row.err = c, err; err == nil {
		row.cells.values = slices.Clone(c.values)
	} else {
		row.ambiguous = false
	}
	b.rows = append(b.rows, row)
	b.last = bufferedRow{}
}

func (b *repeatedHour) flush(yield func(cells, error) bool) bool {
	b.resolve()
	rows := b.rows
	b.rows, b.open = nil, map[string]bool{}
	for _, row := range rows {
		if !yield(row.cells, row.err) {
			return false
		}
	}
	return true
}

// resolve sets the occurrence of the ambiguous rows of each series in which the local time steps back exactly once.
func (b *repeatedHour) resolve() {
	series := map[string][]int{} // indices of ambiguous rows
	for i, row := range b.rows {
		if row.ambiguous {
			series[row.series] = append(series[row.series], i)
		}
	}
	for _, rows := range series {
		steps, repeated := 0, 0
		for n := 1; n < len(rows); n++ {
			if !b.rows[rows[n]].at.After(b.rows[rows[n-1]].at) {
				steps, repeated = steps+1, n
			}
		}
		if steps != 1 {
			continue
		}
		for n, i := range rows {
			b.rows[i].cells.occurrence = firstOccurrence
			if n >= repeated {
				b.rows[i].cells.occurrence = secondOccurrence
			}
		}
	}
}
