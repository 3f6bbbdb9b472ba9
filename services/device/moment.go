package device

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
)

// Moment is a time in a message of a device: RFC 3339, or a number since 1970. The number is seconds up to 11 digits,
// and milliseconds above.
type Moment struct{ time.Time }

const maxSeconds = 99_999_999_999

// UnmarshalJSON decodes it.
func (m *Moment) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, &m.Time) == nil {
		return nil
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return errs.New(errs.InvalidArgument, errs.ReasonInvalidField, "has a time that is neither RFC 3339 nor milliseconds or seconds since 1970")
	}
	m.Time = time.UnixMilli(n).UTC()
	if -maxSeconds <= n && n <= maxSeconds {
		m.Time = time.Unix(n, 0).UTC()
	}
	return nil
}

// maxAhead is how far ahead a device's clock may be.
const maxAhead = time.Hour

// Checked returns the time, or the time of arrival for nil. It refuses a time in the future, and one before 1990,
// when the clock was not set.
func (m *Moment) Checked(field string, arrived time.Time) (time.Time, error) {
	switch {
	case m == nil || m.IsZero():
		return arrived, nil
	case m.After(arrived.Add(maxAhead)):
		return time.Time{}, errs.Invalid(field, "is more than %v in the future: set the clock", maxAhead)
	case m.Year() < 1990:
		return time.Time{}, errs.Invalid(field, "is of the year %d: set the clock", m.Year())
	}
	return m.Time, nil
}
