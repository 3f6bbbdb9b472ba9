package arch_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The places where code writes a reason down: as an argument of errs.New and what wraps it, or as a constant.
var reasonsInCode = regexp.MustCompile(`(?:errs\.New\([\w.]+, |refused\(|[rR]eason\w*\s*=\s*)"([A-Z]+(?:_[A-Z]+)*)"`)

func TestEveryReasonIsInTheDocs(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range reasonsInCode.FindAllStringSubmatch(string(text), -1) {
				found++
				if !strings.Contains(string(docs), "`"+match[1]+"`") {
					t.Errorf("%s/%s gives the reason %s, which docs/errors.md does not list", p.path(), name, match[1])
				}
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d reasons found: the pattern no longer fits the code", found)
	}
}
