package document_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

// Every mutation takes an idempotencyKey or an expectedVersion, or docs/http.md has its reason in a table.
func TestEveryMutationCanBeRepeatedOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## Repeating a mutation\n")
	section, _, _ = strings.Cut(section, "\n## ")
	excepted := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| .{20,} \\|$").FindAllStringSubmatch(section, -1) {
		excepted[row[1]] = true
	}
	schema := loadSchema(t)
	takes := func(field *ast.FieldDefinition, name string) bool {
		if field.Arguments.ForName(name) != nil {
			return true
		}
		for _, argument := range field.Arguments {
			if input := schema.Types[argument.Type.Name()]; input.Fields.ForName(name) != nil {
				return true
			}
		}
		return false
	}
	for _, field := range schema.Mutation.Fields {
		safe := takes(field, "idempotencyKey") || takes(field, "expectedVersion")
		if safe == excepted[field.Name] {
			t.Errorf("%s: takes a key or a version: %t, is in the table of docs/http.md: %t", field.Name, safe, excepted[field.Name])
		}
		delete(excepted, field.Name)
	}
	for name := range excepted {
		t.Errorf("%s is in the table of docs/http.md and no mutation", name)
	}
}
