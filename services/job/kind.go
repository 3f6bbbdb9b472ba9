package job

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/sluicehq/sluice/internal/errs"
)

// Kind is a sort of work.
type Kind interface {
	// Check refuses, as INVALID_ARGUMENT that names the payload, what Run could never do.
	Check(payload string) error
	// Run does the work and gives its result as JSON, which may come with an error too. The attempt
	// has failed when there is an error; see Failure. It returns soon after ctx has ended.
	Run(ctx context.Context, task Task) (result string, err error)
}

// Kinds are the sorts of work that there are, by name.
type Kinds map[string]Kind

// Task is what a Kind is to do.
type Task struct {
	JobID    string
	RunID    string
	FiringID string // the same for an attempt and those that repeat it: what a receiver may know it by
	Attempt  int    // from 1
	Payload  string
}

// named gives the kind of the name; INVALID_ARGUMENT when there is none.
func (k Kinds) lookup(name string) (Kind, error) {
	if kind, ok := k[name]; ok {
		return kind, nil
	}
	return nil, errs.Invalid("kind", "must be one of %s", strings.Join(slices.Sorted(maps.Keys(k)), ", "))
}

// errorText is err as it is kept: one bounded line.
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
