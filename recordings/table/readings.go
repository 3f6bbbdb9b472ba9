package table

import (
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/value"
)

func reading(c cells) (recordings.Reading, error) {
	r := recordings.Reading{Line: c.line}
	var errs [3]error
	r.At, errs[0] = c.time("time")
	r.Value, errs[1] = c.number("value")
	r.Device, errs[2] = c.key("device")
	r.Key = value.Key("reading", r.Device, r.At.Format(time.RFC3339Nano), value.Digits(r.Value))
	return r, first(errs[:])
}
