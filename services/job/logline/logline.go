// Package logline is the job kind "log": a run writes one line to the log. A payload without a message is refused,
// and a run never fails.
package logline

import (
	"context"
	"log/slog"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/services/job"
)

const maxMessage = 4000 // runes

// Kind writes {"message": …} to a log.
type Kind struct{ logger *slog.Logger }

// New returns the kind, which writes to the logger.
func New(logger *slog.Logger) Kind { return Kind{logger: logger} }

type payload struct {
	Message string `json:"message"`
}

func parse(text string) (payload, error) {
	var p payload
	if err := input.Object("payload", text, `{"message": "…"}`, &p); err != nil {
		return payload{}, err
	}
	switch n := utf8.RuneCountInString(p.Message); {
	case n == 0:
		return payload{}, errs.Invalid("payload", "the message is missing")
	case n > maxMessage:
		return payload{}, errs.Invalid("payload", "the message is longer than %d characters", maxMessage)
	}
	return p, nil
}

// Check refuses a payload without a message.
func (Kind) Check(payload string) error {
	_, err := parse(payload)
	return err
}

// Run writes the line.
func (k Kind) Run(ctx context.Context, task job.Task) (string, error) {
	p, err := parse(task.Payload)
	if err != nil {
		return "", job.Permanent(err)
	}
	k.logger.InfoContext(ctx, "a job says", "job", task.JobID, "run", task.RunID, "attempt", task.Attempt, "message", p.Message)
	return `{"logged":true}`, nil
}
