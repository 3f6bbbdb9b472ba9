package sls

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/value"
)

// target parses the EDB line: name, type, and for a fixed object (type f) right ascension in hours, declination in
// degrees, magnitude and epoch. A bar separates optional subfields: a class of object, a proper motion.
func (r record) target(o *recordings.Observation) error {
	fields := strings.Split(r.fields[ownTarget], ",")
	for i := range fields {
		fields[i], _, _ = strings.Cut(fields[i], "|")
		fields[i] = strings.TrimSpace(fields[i])
	}
	if o.Target = fields[0]; o.Target == "" {
		return errors.New("EDB names no target")
	}
	// An object that moves against the stars has orbital elements instead, or nothing.
	if len(fields) < 2 || fields[1] != "f" {
		return nil
	}
	if len(fields) < 4 {
		return fmt.Errorf("EDB %s has no coordinates", value.Quote(r.fields[ownTarget]))
	}
	return coordinates(o, fields)
}

func coordinates(o *recordings.Observation, fields []string) error {
	hours, err := sexagesimal(fields[2])
	if err == nil && (hours < 0 || hours >= 24) {
		err = fmt.Errorf("%s is outside 0 to 24 hours", value.Quote(fields[2]))
	}
	if err != nil {
		return fmt.Errorf("right ascension %w", err)
	}
	declination, err := sexagesimal(fields[3])
	if err == nil && (declination < -90 || declination > 90) {
		err = fmt.Errorf("%s is outside -90 to 90 degrees", value.Quote(fields[3]))
	}
	if err != nil {
		return fmt.Errorf("declination %w", err)
	}
	rightAscension := hours * 15
	o.RightAscension, o.Declination = &rightAscension, &declination
	o.Epoch, err = epoch(fields)
	return err
}

// epoch returns the Julian epoch of the coordinates; 2000 by default.
func epoch(fields []string) (string, error) {
	if len(fields) < 6 || fields[5] == "" {
		return "J2000", nil
	}
	year, err := value.Number(fields[5])
	if err != nil || year < 1800 || year > 2200 {
		return "", fmt.Errorf("epoch %s is not a year from 1800 to 2200", value.Quote(fields[5]))
	}
	return "J" + value.Digits(year), nil
}

// sexagesimal parses "-02:27:30", "+22 00.8" or "5.5": units, sixtieths, and sixtieths of these. The sign applies to
// the whole value, also in "-00:30".
func sexagesimal(s string) (float64, error) {
	digits := strings.TrimLeft(s, "+-")
	parts := strings.FieldsFunc(digits, func(r rune) bool { return r == ':' || r == ' ' })
	if len(parts) == 0 || len(parts) > 3 || len(s)-len(digits) > 1 {
		return 0, fmt.Errorf("%s is not degrees or hours, minutes, seconds", value.Quote(s))
	}
	whole, unit := 0.0, 1.0
	for i, part := range parts {
		v, err := value.Number(part)
		if err != nil {
			return 0, err
		}
		if v < 0 || i > 0 && v >= 60 {
			return 0, fmt.Errorf("%s has minutes or seconds outside 0 to 60", value.Quote(s))
		}
		whole += v * unit
		unit /= 60
	}
	if strings.HasPrefix(s, "-") {
		whole = -whole
	}
	return whole, nil
}
