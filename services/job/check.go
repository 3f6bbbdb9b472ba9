package job

import (
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

// Bounds of what callers may give.
const (
	maxName        = 200   // runes
	maxDescription = 4000  // runes
	maxPayload     = 65536 // bytes
	maxAttempts    = 20
	maxTimeout     = 3600 // seconds
	maxBatch       = 1000 // ids
	maxBatchRows   = 50_000
)

// What holds when a caller does not say.
const (
	DefaultMaxAttempts = 3
	DefaultTimeout     = 30 * time.Second
)

var (
	earliestTime = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	latestTime   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

func checkName(name string) error {
	if strings.TrimSpace(name) == "" {
		return errs.Invalid("name", "is missing")
	}
	return checkLine("name", name)
}

// checkLine refuses what does not fit on one line of a list.
func checkLine(field, text string) error {
	switch {
	case !utf8.ValidString(text):
		return errs.Invalid(field, "is not UTF-8")
	case utf8.RuneCountInString(text) > maxName:
		return errs.Invalid(field, "is longer than %d characters", maxName)
	case strings.ContainsFunc(text, unicode.IsControl):
		return errs.Invalid(field, "has control characters")
	}
	return nil
}

func checkDescription(text string) error {
	switch {
	case !utf8.ValidString(text):
		return errs.Invalid("description", "is not UTF-8")
	case utf8.RuneCountInString(text) > maxDescription:
		return errs.Invalid("description", "is longer than %d characters", maxDescription)
	case strings.ContainsRune(text, 0):
		return errs.Invalid("description", "has a NUL character")
	}
	return nil
}

func checkPayload(kind Kind, payload string) error {
	switch {
	case len(payload) > maxPayload:
		return errs.Invalid("payload", "is longer than %d bytes", maxPayload)
	case !utf8.ValidString(payload) || !json.Valid([]byte(payload)):
		return errs.Invalid("payload", "is not JSON")
	}
	return kind.Check(payload)
}

func checkTime(field string, t *time.Time) error {
	if t != nil && (t.Before(earliestTime) || !t.Before(latestTime)) {
		return errs.Invalid(field, "must be between the years 1900 and 2200")
	}
	return nil
}

func checkMaxAttempts(n int) error {
	if n < 1 || n > maxAttempts {
		return errs.Invalid("maxAttempts", "must be between 1 and %d", maxAttempts)
	}
	return nil
}

func checkTimeout(seconds int) error {
	if seconds < 1 || seconds > maxTimeout {
		return errs.Invalid("timeoutSeconds", "must be between 1 and %d", maxTimeout)
	}
	return nil
}

func checkDevice(id string) error {
	if id == "" {
		return nil
	}
	if err := ids.Check(ids.Device, id); err != nil {
		return errs.Invalid("deviceId", "%v", err)
	}
	return nil
}

func checkID(id string) error {
	if err := ids.Check(ids.Job, id); err != nil {
		return errs.Invalid("id", "%v", err)
	}
	return nil
}

// firstError gives the first of the checks that refuses.
func firstError(checks ...error) error {
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	return nil
}
