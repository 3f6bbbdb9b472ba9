package arch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sluicehq/sluice/"

// generated lists the folders that a generator writes.
var generated = []string{"services/gen", "graph/exec", "graph/model", "graph/plan/plantest/exec"}

// pkg is a package as `go list` describes it.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func (p pkg) path() string { return strings.TrimPrefix(p.ImportPath, module) }

// files returns the paths of all Go files of the package's folder, tests included.
func (p pkg) files(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// packages returns all packages of the module.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// handWritten returns the packages that no generator writes.
func handWritten(t *testing.T) []pkg {
	t.Helper()
	return slices.DeleteFunc(packages(t), func(p pkg) bool { return under(p.path(), generated...) })
}

func TestPackageHasExactlyOneComment(t *testing.T) {
	t.Parallel()
	for _, p := range handWritten(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		var commented []string
		for _, file := range p.GoFiles {
			parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if parsed.Doc != nil {
				commented = append(commented, file)
			}
		}
		if len(commented) != 1 {
			t.Errorf("%s has %d package comments %v, want one", p.path(), len(commented), commented)
		}
	}
}

func TestPackageNameSaysItsPurpose(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, name := range []string{"util", "utils", "common", "helper", "helpers", "manager", "misc"} {
			if slices.Contains(strings.Split(p.path(), "/"), name) {
				t.Errorf("%s: the name %q does not say what the package is for", p.path(), name)
			}
		}
	}
}
