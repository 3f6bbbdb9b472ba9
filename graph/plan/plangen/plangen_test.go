package plangen_test

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"

	"github.com/sluicehq/sluice/graph/plan/plangen"
)

var update = flag.Bool("update", false, "take the installed gqlgen as the one that was read")

// hooks are the files of gqlgen that plans do the same as. Names that they use from them are checked
// by the compiler, and what they do by the differential tests; what those may not see is here.
func hooks() []string {
	return []string{
		"codegen/args.gotpl",       // Field.Context reads arguments
		"codegen/field.gotpl",      // Field.Call, and what surrounds a resolver
		"codegen/generated!.gotpl", // the execution context
		"codegen/input.gotpl",      // Source.Inputs
		"codegen/interface.gotpl",  // which object stands behind an interface
		"codegen/object.gotpl",     // order, nulls that propagate, what may run side by side
		"codegen/type.gotpl",       // how each type is written
		"graphql/bool.go",          // written by plan itself, as are the scalars below
		"graphql/context_field.go",
		"graphql/context_operation.go", // what is told of errors
		"graphql/context_path.go",
		"graphql/context_response.go",
		"graphql/error.go",
		"graphql/executable_schema.go", // CollectFields
		"graphql/execution_context_state.go",
		"graphql/fieldset.go",
		"graphql/float.go",
		"graphql/id.go",
		"graphql/int.go",
		"graphql/resolve_field.go", // what becomes of errors and panics
		"graphql/string.go",
	}
}

const read = "testdata/hooks.txt"

// A gqlgen that does something otherwise fails here, if nowhere else.
func TestGqlgenFilesAreThoseThatPlansFollow(t *testing.T) {
	t.Parallel()
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", "github.com/99designs/gqlgen").Output()
	if err != nil {
		t.Fatalf("find gqlgen: %v", err)
	}
	version, dir, _ := strings.Cut(strings.TrimSpace(string(module)), " ")
	lines := []string{"gqlgen " + version}
	for _, hook := range hooks() {
		text, err := os.ReadFile(filepath.Join(dir, hook))
		if err != nil {
			t.Errorf("%v: find where this went, and what that means for plans", err)
		}
		lines = append(lines, fmt.Sprintf("%x %s", sha256.Sum256(text), hook))
	}
	if *update {
		if err := os.WriteFile(read, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile(read)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if !strings.Contains(string(was), line+"\n") {
			_, what, _ := strings.Cut(line, " ")
			t.Errorf("%s is not what it was in %s: see what has changed and let plan and plangen do the same, "+
				"run the differential tests with SLUICE_TEST_REQUIRE set, then this one with -update", what, strings.Split(string(was), "\n")[0])
		}
	}
}

// What the generated code would not fit is refused, not generated.
func TestUnsupportedConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]config.Config{
		"functions instead of methods": {UseFunctionSyntaxForExecutionContext: true},
		"panics that nobody recovers":  {OmitPanicHandler: true},
	} {
		if err := (plangen.Plugin{}).GenerateCode(&codegen.Data{Config: &c}); err == nil {
			t.Errorf("%s are generated for", name)
		}
	}
}
