package document_test

import (
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/graph/document"
)

func TestNumberOutOfRangeIsRefused(t *testing.T) {
	t.Parallel()
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: `scalar JSON
		input In { json: JSON }
		type Query { f(json: JSON, in: In, list: [JSON], n: Int): Int }`})
	for text, want := range map[string]string{
		`{ f(json: {a: 9223372036854775807, b: [1.5e300]}) }`:         "",
		`{ f(json: 9223372036854775808) }`:                            "too large",
		`{ f(json: {a: [{b: 12345678901234567890}]}) }`:               "too large",
		`{ f(json: {a: 1e999}) }`:                                     "too large",
		`{ f(in: {json: {a: -12345678901234567890}}) }`:               "too large",
		`{ f(list: [1, 12345678901234567890]) }`:                      "too large",
		`query($j: JSON = {a: 12345678901234567890}) { f(json: $j) }`: "too large",
		`{ f(n: 12345678901234567890) }`:                              "32-bit",
	} {
		_, err := gqlparser.LoadQueryWithRules(schema, text, document.Rules(true))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (len(err) == 0 || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
