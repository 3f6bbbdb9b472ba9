package document_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/internal/errs"
)

func TestLongNameIsRefused(t *testing.T) {
	t.Parallel()
	long, longest := strings.Repeat("a", 101), strings.Repeat("a", 100)
	for _, c := range []struct {
		name, text string
		refused    bool
	}{
		{"the longest names", "query " + longest + "($" + longest + ": Int) { " + longest + ": x }", false},
		{"an alias", "{ " + long + ": x }", true},
		{"an operation", "query " + long + " { x }", true},
		{"a variable", "query($" + long + ": Int) { x }", true},
		{"an enum", "{ x(y: " + long + ") }", true},
		{"a fragment after a text", `{ x(y: "` + long + `") ...` + long + " }", true},
		{"a text", `{ x(y: "` + long + `", z: """` + long + `""") }`, false},
		{"a comment", "{ x } #" + long, false},
		{"a number", "{ x(y: " + strings.Repeat("1", 101) + ") }", false},
		{"what does not read", `{ x(y: "` + long, false}, // the parser says so
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e, refused := errors.AsType[*errs.Error](document.CheckNames(c.text))
			if refused != c.refused || refused && (e.Reason != "NAME_TOO_LONG" || len(e.Message) > 100) {
				t.Errorf("%v", e)
			}
		})
	}
}
