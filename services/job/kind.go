package job

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/sluicehq/sluice/internal/errs"
)

// Kind is a type of work.
type Kind interface {
	// Check refuses a payload that Run cannot execute, with INVALID_ARGUMENT.
	Check(payload string) error
	// Run executes the task and returns its result as JSON, also with an error. An error fails the attempt; see
	// Failure. Run must return soon after ctx has ended.
	Run(ctx context.Context, task Task) (result string, err error)
}

// Kinds maps names to kinds.
type Kinds map[string]Kind

// Task is the input of a Kind.
type Task struct {
	JobID    string
	RunID    string
	FiringID string // equal for an attempt and its retries: an idempotency key for receivers
	Attempt  int    // from 1
	Payload  string
}

func (k Kinds) lookup(name string) (Kind, error) {
	if kind, ok := k[name]; ok {
		return kind, nil
	}
	return nil, errs.Invalid("kind", "must be one of %s", strings.Join(slices.Sorted(maps.Keys(k)), ", "))
}

func errorText(err error) string {
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(err.Error(), "\uFFFD"))
	if runes := []rune(text); len(runes) > maxErrorLength {
		return string(runes[:maxErrorLength-1]) + "…"
	}
	return text
}
