package clients

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

// shellExamples are the blocks of a page that are for a shell.
var shellExamples = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The examples of the pages for integrators do what the pages say.
func TestDocExamplesReturnData(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"curl", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIP: no %s on this machine", tool)
		}
	}
	p := harness.Demo(t)
	page, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := shellExamples.FindAllStringSubmatch(string(page), -1)
	if len(examples) < 6 {
		t.Fatalf("only %d examples found", len(examples))
	}
	for _, example := range examples {
		t.Run(firstWords(example[1]), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), harness.Timeout)
			defer cancel()
			script := example[1]
			if strings.Contains(script, "> schema.graphql") {
				script += "cat schema.graphql"
			}
			cmd := exec.CommandContext(ctx, "sh", "-e", "-c", script)
			cmd.Dir = t.TempDir()
			cmd.Env = append(os.Environ(), "URL="+p.URL, "KEY="+p.APIKey)
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			checkExample(t, example[1], string(out))
		})
	}
}

// checkExample wants data of each answer, but of the one that shows a refusal.
func checkExample(t *testing.T, example, out string) {
	t.Helper()
	if strings.Contains(example, "%{http_code}") {
		if !strings.Contains(out, "SIGN_IN_REQUIRED") || !strings.HasSuffix(out, "\n401\n") {
			t.Errorf("answered %s", out)
		}
		return
	}
	if strings.Contains(example, "> schema.graphql") {
		if !strings.Contains(out, "type Query") {
			t.Errorf("the schema is %.100s", out)
		}
		return
	}
	answers := json.NewDecoder(strings.NewReader(out))
	for range strings.Count(example, "curl ") {
		var a harness.Response
		if err := answers.Decode(&a); err != nil || len(a.Errors) > 0 || len(a.Data) == 0 {
			t.Errorf("answered %s: %v %v", out, a.Errors, err)
		}
	}
}

func firstWords(example string) string {
	words := strings.Fields(example)
	return strings.Join(words[:min(len(words), 4)], " ")
}
