package arch_test

import (
	"slices"
	"strings"
	"testing"
)

// layers is the order of the top folders. A package imports its own folder and folders to the right, never to the left.
var layers = []string{
	"bench", "e2e", // tests and benchmarks of the whole program
	"cmd", "app", "simulate", "importer",
	"gateway", "graph", "loaders", "bff",
	"services", "recordings",
	"internal",
	"schema", "testdata", "web", // embedded files
}

// gatewayLayers is the order inside gateway: edge serves HTTP, live serves subscriptions, admission decides for both.
var gatewayLayers = []string{"gateway/edge", "gateway/live", "gateway/admission", "gateway/gqlrequest"}

// deviceLayers is the order of the packages of the device service, each line above the next one. Packages on one
// line do not import each other.
var deviceLayers = [][]string{
	{"assembly"},
	{"ingress"},
	{"uplink"},
	{"vehicle", "camera"},
	{"registry", "telemetry", "command", "twin", "maintenance", "presence"},
	{""},
}

// rule forbids some imports.
type rule struct {
	reason  string
	applies func(path string) bool
	forbids func(path, imported string) bool
}

// under reports whether the path is one of the folders or lies in one of them.
func under(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		return path == folder || strings.HasPrefix(path, folder+"/")
	})
}

// layerOf returns the index of the path's folder in the list, or -1.
func layerOf(path string, folders []string) int {
	return slices.IndexFunc(folders, func(folder string) bool { return under(path, folder) })
}

// deviceLayerOf returns the index of the package's line in deviceLayers, or -1.
func deviceLayerOf(path string) int {
	return slices.IndexFunc(deviceLayers, func(line []string) bool {
		return slices.ContainsFunc(line, func(name string) bool {
			return path == strings.TrimSuffix("services/device/"+name, "/")
		})
	})
}

// serviceOf returns the service that a path belongs to, or "". The generated contracts belong to none.
func serviceOf(path string) string {
	if !under(path, "services") || under(path, "services/gen", "services/proto", "services/types") {
		return ""
	}
	return strings.Split(path+"/", "/")[1]
}

// isAdapter reports whether the package connects a domain to SQL, to gRPC or to tests.
func isAdapter(path string) bool {
	return slices.ContainsFunc([]string{"/store", "/rpc", "/clients", "test"}, func(end string) bool { return strings.HasSuffix(path, end) })
}

func rules() []rule {
	return slices.Concat(layerRules(), serviceRules(), gatewayRules(), libraryRules())
}

func layerRules() []rule {
	return []rule{
		{
			reason:  "top folders are layers: a change in one concerns itself and the folders to its left",
			applies: func(path string) bool { return layerOf(path, layers) >= 0 },
			forbids: func(path, imported string) bool {
				to := layerOf(imported, layers)
				return to >= 0 && to < layerOf(path, layers)
			},
		},
		{
			reason:  "the gateway's HTTP server, its subscriptions and its admission are layers too",
			applies: func(path string) bool { return layerOf(path, gatewayLayers) >= 0 },
			forbids: func(path, imported string) bool {
				to := layerOf(imported, gatewayLayers)
				return to >= 0 && to < layerOf(path, gatewayLayers)
			},
		},
		{
			reason:  "the packages of the device service are layers, so that a change in one concerns only those above it",
			applies: func(path string) bool { return deviceLayerOf(path) >= 0 },
			forbids: func(path, imported string) bool {
				to := deviceLayerOf(imported)
				return path != imported && to >= 0 && to <= deviceLayerOf(path)
			},
		},
		{
			reason:  "readers of file formats depend on nothing, so that other programs can use them",
			applies: func(path string) bool { return under(path, "recordings") },
			forbids: func(_, imported string) bool { return under(imported, "internal") },
		},
	}
}

func serviceRules() []rule {
	return []rule{
		{
			reason:  "a service calls another by its contract, never by its code",
			applies: func(path string) bool { return serviceOf(path) != "" },
			forbids: func(path, imported string) bool {
				return serviceOf(imported) != "" && serviceOf(imported) != serviceOf(path)
			},
		},
		{
			reason:  "the shared parts of the contracts belong to no service",
			applies: func(path string) bool { return under(path, "services/types") },
			forbids: func(_, imported string) bool { return serviceOf(imported) != "" },
		},
		{
			reason:  "a domain depends neither on its store nor on its contract",
			applies: func(path string) bool { return serviceOf(path) != "" && !isAdapter(path) },
			forbids: func(path, imported string) bool {
				domain := "services/" + serviceOf(path)
				return under(imported, domain+"/store", domain+"/rpc", domain+"/clients", "services/gen", "internal/sqldb")
			},
		},
		{
			reason: "protobuf stays in servers and clients",
			applies: func(path string) bool {
				return !strings.HasSuffix(path, "/rpc") && !strings.HasSuffix(path, "/clients") && !under(path, "services/gen", "bff/entity")
			},
			forbids: func(_, imported string) bool { return under(imported, "services/gen", "services/types") },
		},
		{
			reason:  "the gateway and the importer use contracts of services, never their code",
			applies: func(path string) bool { return under(path, "bff", "importer") },
			forbids: func(_, imported string) bool { return serviceOf(imported) != "" },
		},
	}
}

func gatewayRules() []rule {
	return []rule{
		{
			reason:  "views and ports depend on no adapter",
			applies: func(path string) bool { return path == "bff" },
			forbids: func(_, imported string) bool {
				return under(imported, "services") || strings.HasPrefix(imported, "bff/")
			},
		},
		{
			reason:  "batch functions and resolvers use ports, never adapters or services",
			applies: func(path string) bool { return under(path, "loaders", "graph") },
			forbids: func(_, imported string) bool {
				return under(imported, "services") || strings.HasPrefix(imported, "bff/")
			},
		},
		{
			reason:  "resolvers do not depend on the pipeline around an operation",
			applies: func(path string) bool { return under(path, "graph") && !under(path, "graph/pipeline") },
			forbids: func(_, imported string) bool { return under(imported, "graph/pipeline") },
		},
		{
			reason:  "the fast rejection of repeated requests reads bytes only",
			applies: func(path string) bool { return path == "gateway/edge/fastreject" },
			forbids: func(_, imported string) bool { return under(imported, "bff", "graph", "gateway", "internal") },
		},
	}
}

func libraryRules() []rule {
	return []rule{
		{
			reason:  "gqlgen can be replaced or wrapped in two folders only",
			applies: func(path string) bool { return !under(path, "graph", "gateway", "internal/plantest") }, // the last has the schema of their tests
			forbids: func(_, imported string) bool { return strings.HasPrefix(imported, "github.com/99designs/gqlgen") },
		},
		{
			reason:  "Redis is a detail of the cache, of budgets and of their client",
			applies: func(path string) bool { return !under(path, "internal/redisdb", "bff/cache", "bff/quota") },
			forbids: func(_, imported string) bool { return strings.HasPrefix(imported, "github.com/redis/") },
		},
		{
			reason: "SQL is a detail of stores",
			applies: func(path string) bool {
				return !strings.HasSuffix(path, "/store") && !under(path, "internal/sqldb", "internal/testserver")
			},
			forbids: func(_, imported string) bool { return imported == "database/sql" },
		},
	}
}

func TestPackageThatImportsAgainstTheLayersIsRefused(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if layerOf(p.path(), layers) < 0 {
			t.Errorf("%s: its top folder is not in the list of layers", p.path())
		}
		for _, imported := range p.Imports {
			for _, r := range rules() {
				if r.applies(p.path()) && r.forbids(p.path(), strings.TrimPrefix(imported, module)) {
					t.Errorf("%s imports %s: %s", p.path(), imported, r.reason)
				}
			}
		}
	}
}

func TestEachRuleForbidsSomeImport(t *testing.T) {
	t.Parallel()
	used := make(map[string]bool)
	for _, c := range []struct{ path, imported string }{
		{"services/trip/rpc", "bff"},
		{"bff/auth", "graph"},
		{"graph", "gateway/edge"},
		{"internal/rpc", "services/trip"},
		{"gateway/admission", "gateway/live"},
		{"services/device/command", "services/device/vehicle"},
		{"services/device", "services/device/registry"},
		{"services/device/twin", "services/device/command"},
		{"recordings/gpx", "internal/errs"},
		{"services/trip", "services/device"},
		{"services/types/rpc", "services/trip/rpc"},
		{"services/trip", "services/trip/store"},
		{"services/trip/store", "services/types/rpc"},
		{"importer/rpc", "services/trip"},
		{"bff", "bff/rpc"},
		{"graph/document", "bff/auth"},
		{"loaders", "bff/rpc"},
		{"graph", "graph/pipeline"},
		{"gateway/edge/fastreject", "bff/quota"},
		{"app", "github.com/99designs/gqlgen/graphql"},
		{"graph", "github.com/redis/go-redis/v9"},
		{"services/trip", "database/sql"},
	} {
		caught := false
		for _, r := range rules() {
			if r.applies(c.path) && r.forbids(c.path, c.imported) {
				caught, used[r.reason] = true, true
			}
		}
		if !caught {
			t.Errorf("%s may import %s", c.path, c.imported)
		}
	}
	for _, r := range rules() {
		if !used[r.reason] {
			t.Errorf("no case breaks the rule %q", r.reason)
		}
	}
}
