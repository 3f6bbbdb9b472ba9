package arch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
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

// pkg is a package as `go list` tells of it.
type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func (p pkg) path() string { return strings.TrimPrefix(p.ImportPath, module) }

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

// rule forbids packages some imports.
type rule struct {
	why    string
	of     func(path string) bool
	forbid func(path, imported string) bool
}

// below tells whether the path is the folder or lies in it.
func below(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		return path == folder || strings.HasPrefix(path, folder+"/")
	})
}

// service is the service that a path belongs to, or "". What all contracts share belongs to none.
func service(path string) string {
	if !below(path, "services") || below(path, "services/gen", "services/proto", "services/types") {
		return ""
	}
	return strings.Split(path+"/", "/")[1]
}

// adapts tells whether the package joins a domain with SQL, with gRPC or with tests.
func adapts(path string) bool {
	return strings.HasSuffix(path, "/store") || strings.HasSuffix(path, "/rpc") || strings.HasSuffix(path, "test")
}

// floor is how high a room of the device service stands; 0 for what is none.
func floor(path string) int {
	for i, rooms := range [][]string{
		{"lock"},
		{""},
		{"registry", "telemetry", "command", "twin", "calls", "attendant", "keeping", "presence"},
		{"vehicle", "camera"},
		{"uplink"},
		{"assembly", "mqtt"},
	} {
		for _, room := range rooms {
			if path == strings.TrimSuffix("services/device/"+room, "/") {
				return i + 1
			}
		}
	}
	return 0
}

func rules() []rule {
	return slices.Concat(serviceRules(), gatewayRules(), libraryRules(), leafRules())
}

func serviceRules() []rule {
	return []rule{
		{
			why: "services know nothing of the gateway, so that either can be changed or run without the other",
			of:  func(path string) bool { return below(path, "services") },
			forbid: func(_, imported string) bool {
				return below(imported, "bff", "graph", "loaders", "cmd", "app")
			},
		},
		{
			why: "a service reaches another by its contract, never by its code",
			of:  func(path string) bool { return service(path) != "" },
			forbid: func(path, imported string) bool {
				return service(imported) != "" && service(imported) != service(path)
			},
		},
		{
			why:    "what all contracts share belongs to no service, so that each can use it and none can change it for another",
			of:     func(path string) bool { return below(path, "services/types") },
			forbid: func(_, imported string) bool { return service(imported) != "" },
		},
		{
			why: "a domain knows neither its store nor its contract",
			of:  func(path string) bool { return service(path) != "" && !adapts(path) },
			forbid: func(path, imported string) bool {
				domain := "services/" + service(path)
				return below(imported, domain+"/store", domain+"/rpc", "services/gen", "internal/sqldb")
			},
		},
		{
			why: "the rooms of the device service stand above each other, so that a change in one is a change for those above alone",
			of:  func(path string) bool { return floor(path) > 0 },
			forbid: func(path, imported string) bool {
				return path != imported && floor(imported) >= floor(path)
			},
		},
		{
			why:    "protobuf ends in the rpc packages",
			of:     func(path string) bool { return !strings.HasSuffix(path, "/rpc") && !below(path, "services/gen") },
			forbid: func(_, imported string) bool { return below(imported, "services/gen", "services/types") },
		},
	}
}

func gatewayRules() []rule {
	return []rule{
		{
			why: "what the gateway knows stands below what it does",
			of:  func(path string) bool { return path == "bff" },
			forbid: func(_, imported string) bool {
				return below(imported, "graph", "loaders", "services") || strings.HasPrefix(imported, "bff/")
			},
		},
		{
			why: "adapters of the gateway stand below the resolvers; only the entrance stands above",
			of: func(path string) bool {
				return strings.HasPrefix(path, "bff/") && !below(path, "gateway/edge", "gateway/live")
			},
			forbid: func(_, imported string) bool { return below(imported, "graph", "loaders") },
		},
		{
			why:    "what reads connections knows nothing of what is said on them",
			of:     func(path string) bool { return path == "gateway/edge/fastreject" },
			forbid: func(_, imported string) bool { return below(imported, "bff", "graph", "internal") },
		},
		{
			why: "batch functions ask ports; they know neither resolvers nor services",
			of:  func(path string) bool { return path == "loaders" },
			forbid: func(_, imported string) bool {
				return below(imported, "graph", "services") || strings.HasPrefix(imported, "bff/")
			},
		},
		{
			why: "resolvers ask ports; they know neither adapters nor services",
			of:  func(path string) bool { return below(path, "graph") },
			forbid: func(_, imported string) bool {
				return below(imported, "services", "app") || strings.HasPrefix(imported, "bff/")
			},
		},
	}
}

func libraryRules() []rule {
	return []rule{
		{
			why:    "gqlgen may be replaced or wrapped where it is, and nowhere else",
			of:     func(path string) bool { return !below(path, "graph", "gateway/live", "gateway/edge") },
			forbid: func(_, imported string) bool { return strings.HasPrefix(imported, "github.com/99designs/gqlgen") },
		},
		{
			why:    "Redis is a detail of caching, budgets and guards",
			of:     func(path string) bool { return !below(path, "bff/cache", "bff/quota", "bff/guard", "app") },
			forbid: func(_, imported string) bool { return strings.HasPrefix(imported, "github.com/redis/") },
		},
		{
			why: "SQL is a detail of stores",
			of: func(path string) bool {
				return !strings.HasSuffix(path, "/store") && !below(path, "internal/sqldb", "internal/testserver")
			},
			forbid: func(_, imported string) bool { return imported == "database/sql" },
		},
	}
}

func leafRules() []rule {
	return []rule{
		{
			why: "leaves stand below everything",
			of: func(path string) bool {
				return below(path, "internal") && !below(path, "app", "importer", "internal/arch")
			},
			forbid: func(_, imported string) bool {
				return below(imported, "bff", "graph", "loaders", "services", "app")
			},
		},
		{
			why: "recordings are read without knowing who wants them",
			of:  func(path string) bool { return below(path, "recordings") },
			forbid: func(_, imported string) bool {
				return below(imported, "bff", "graph", "loaders", "services", "internal")
			},
		},
	}
}

func TestImportsRunDownward(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			for _, r := range rules() {
				if r.of(p.path()) && r.forbid(p.path(), strings.TrimPrefix(imported, module)) {
					t.Errorf("%s imports %s: %s", p.path(), imported, r.why)
				}
			}
		}
	}
}

// A rule that nothing can break proves nothing.
func TestRulesBite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, imported string }{
		{"services/trip/rpc", "bff"},
		{"services/trip", "services/device"},
		{"services/trip", "services/trip/store"},
		{"services/trip", "services/types/rpc"},
		{"services/trip/store", "services/types/rpc"},
		{"services/device", "services/device/registry"},
		{"services/device/command", "services/device/store"},
		{"services/device/command", "services/device/vehicle"},
		{"services/device/twin", "services/device/command"},
		{"services/types/rpc", "services/trip"},
		{"services/types/rpc", "services/trip/rpc"},
		{"graph", "services/gen/trip/v1"},
		{"bff", "bff/rpc"},
		{"bff/auth", "graph"},
		{"gateway/edge/fastreject", "bff/quota"},
		{"loaders", "bff/rpc"},
		{"graph/document", "bff/auth"},
		{"app", "github.com/99designs/gqlgen/graphql"},
		{"graph", "github.com/redis/go-redis/v9"},
		{"services/trip", "database/sql"},
		{"internal/rpc", "services/trip"},
		{"recordings/gpx", "internal/errs"},
	} {
		caught := slices.ContainsFunc(rules(), func(r rule) bool { return r.of(c.path) && r.forbid(c.path, c.imported) })
		if !caught {
			t.Errorf("%s may import %s", c.path, c.imported)
		}
	}
}

func TestEveryPackageHasOneComment(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if below(p.path(), "services/gen", "graph/exec", "graph/model", "graph/plan/plantest/exec") || len(p.GoFiles) == 0 {
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

func TestNoRoomForOddments(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, name := range []string{"util", "utils", "common", "helper", "helpers", "manager", "misc"} {
			if slices.Contains(strings.Split(p.path(), "/"), name) {
				t.Errorf("%s: a package says what it is for; %q does not", p.path(), name)
			}
		}
	}
}

// maxLines bounds a function, wiring included: what is longer is two ideas.
const maxLines = 80

func TestFunctionsAreShort(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if below(p.path(), "services/gen", "graph/exec", "graph/model", "graph/plan/plantest/exec") {
			continue
		}
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			checkLength(t, file)
		}
	}
}

func checkLength(t *testing.T, path string) {
	t.Helper()
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, declaration := range parsed.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok {
			continue
		}
		lines := files.Position(function.End()).Line - files.Position(function.Pos()).Line + 1
		if lines > maxLines {
			t.Errorf("%s: %s has %d lines, at most %d are allowed", path, function.Name.Name, lines, maxLines)
		}
	}
}
