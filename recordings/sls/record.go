package sls

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/value"
)

// maxExposure bounds one exposure, in seconds.
const maxExposure = 7 * 24 * 3600

// Labels of fields of an Observation; others are in Fields.
const (
	ownStatus    = "status"
	ownStart     = "start_jd"
	ownDuration  = "duration_secs"
	ownProgramme = "schedfn"
	ownTitle     = "title"
	ownObserver  = "observer"
	ownTarget    = "edb"
	ownFilter    = "filter"
)

func (r record) observation() (recordings.Observation, error) {
	o := recordings.Observation{
		Title: r.fields[ownTitle], Observer: r.fields[ownObserver],
		Programme: r.fields[ownProgramme], Instrument: r.fields[ownFilter],
		Fields: r.others(), Line: r.line,
	}
	var err error
	if o.Status, err = r.status(); err != nil {
		return o, err
	}
	if o.Start, o.End, err = r.times(); err != nil {
		return o, err
	}
	if err := r.target(&o); err != nil {
		return o, err
	}
	if o.Title == "" {
		o.Title = o.Target
	}
	return o, nil
}

func (r record) status() (string, error) {
	status, err := value.Text(strings.ToUpper(r.fields[ownStatus]))
	if err != nil {
		return "", fmt.Errorf("status %w", err)
	}
	switch status {
	case "":
		return "", errors.New("status is missing")
	case "N":
		return recordings.StatusNew, nil
	case "D":
		return recordings.StatusDone, nil
	case "F":
		return recordings.StatusFailed, nil
	}
	return status, nil
}

func (r record) times() (start, end time.Time, err error) {
	if start, err = startTime(r.fields[ownStart]); err != nil {
		return start, end, fmt.Errorf("start JD %w", err)
	}
	secs, err := value.Number(r.fields[ownDuration])
	if err == nil && (secs < 0 || secs > maxExposure) {
		err = fmt.Errorf("%g is outside 0 to %d s", secs, maxExposure)
	}
	if err != nil {
		return start, end, fmt.Errorf("duration %w", err)
	}
	return start, start.Add(time.Duration(secs * float64(time.Second))), nil
}

// startShape is a Julian date, optionally followed by the same time in UTC.
var startShape = regexp.MustCompile(`^([0-9.]+)(?:\s*\(\s*(.+?)\s+UTC\s*\))?$`)

// startTime parses "2460031.61021 (2023/3/28 02:38:42 UTC)". Five decimals of a day are 0.86 s, so the time in UTC is
// more precise, and the Julian date is a check. Old schedules print minutes, and the month first: "( 4/25/2015 2:53
// UTC)".
func startTime(s string) (time.Time, error) {
	m := startShape.FindStringSubmatch(s)
	if m == nil {
		return time.Time{}, fmt.Errorf("%s is not a Julian date (and UTC)", value.Quote(s))
	}
	jd, err := value.Number(m[1])
	if err != nil {
		return time.Time{}, err
	}
	start, err := fromJulian(jd)
	if err != nil || m[2] == "" {
		return start, err
	}
	printed, exact, err := printedTime(m[2])
	if err != nil {
		return start, err
	}
	if apart := printed.Sub(start).Abs(); apart > 2*time.Second && exact || apart > 61*time.Second {
		return start, fmt.Errorf("%s is %v, not %v as printed behind it", m[1], start.Format(time.DateTime), printed.Format(time.DateTime))
	}
	if exact {
		return printed, nil
	}
	return start, nil
}

func fromJulian(jd float64) (time.Time, error) {
	const unixEpoch, secondsPerDay = 2440587.5, 86400
	days := jd - unixEpoch
	if math.Abs(days) > 100*366 {
		return time.Time{}, fmt.Errorf("%.5f is further than 100 years from 1970", jd)
	}
	return time.Unix(int64(math.Round(days*secondsPerDay)), 0).UTC(), nil
}

func printedTime(s string) (t time.Time, exact bool, err error) {
	s = strings.Join(strings.Fields(s), " ")
	if t, err = time.Parse("2006/1/2 15:04:05", s); err == nil {
		return t, true, nil
	}
	if t, err = time.Parse("1/2/2006 15:04", s); err == nil {
		return t, false, nil
	}
	return t, false, fmt.Errorf("%s is not a time as schedules print it", value.Quote(s))
}

func (r record) others() map[string]string {
	others := map[string]string{}
	for label, content := range r.fields {
		switch label {
		case ownStatus, ownStart, ownProgramme, ownTitle, ownObserver, ownTarget, ownFilter:
			continue
		}
		if content != "" && content != "None" {
			others[label] = content
		}
	}
	return others
}
