package job

import (
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

// Limits of a request.
const (
	maxName        = 200       // characters
	maxDescription = 4000      // characters
	maxPayload     = 64 << 10  // bytes
	maxResult      = 64 << 10  // bytes
	maxAttempts    = 20        // of a firing
	maxTimeout     = time.Hour // of a run
	maxChosen      = 1_000     // statuses and kinds in a filter
	maxBatchRows   = 50_000    // jobs or runs, over all pages of a response
)

// Defaults of a new job.
const (
	DefaultMaxAttempts = 3
	DefaultTimeout     = 30 * time.Second
)

func checkName(name string) error { return input.Name("name", name, maxName) }

func checkDescription(text string) error { return input.Text("description", text, maxDescription) }

func checkPayload(kind Kind, payload string) error {
	if err := input.JSON("payload", payload, maxPayload); err != nil {
		return err
	}
	return kind.Check(payload)
}

func checkMaxAttempts(n int) error {
	if n < 1 || n > maxAttempts {
		return errs.Invalid("maxAttempts", "must be between 1 and %d", maxAttempts)
	}
	return nil
}

func checkTimeout(seconds int) error {
	const most = int(maxTimeout / time.Second)
	if seconds < 1 || seconds > most {
		return errs.Invalid("timeoutSeconds", "must be between 1 and %d", most)
	}
	return nil
}

func checkDevice(id string) error { return input.OptionalID("deviceId", ids.Device, id) }
