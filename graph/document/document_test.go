package document_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

func loadSchema(t testing.TB) *ast.Schema {
	t.Helper()
	files, err := filepath.Glob("../../schema/*.graphqls")
	if err != nil || len(files) == 0 {
		t.Fatalf("no schema: %v", err)
	}
	var sources []*ast.Source
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, &ast.Source{Name: file, Input: string(text)})
	}
	return gqlparser.MustLoadSchema(sources...)
}

func prepare(t *testing.T, schema *ast.Schema, query string) *document.Prepared {
	t.Helper()
	parsed, problems := gqlparser.LoadQueryWithRules(schema, query, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return document.Prepare(schema, parsed.Operations[0])
}

func TestEveryFieldHasAnAccessRule(t *testing.T) {
	t.Parallel()
	if fields := document.Unruled(loadSchema(t)); len(fields) > 0 {
		t.Errorf("these fields state nothing, so nobody may read them: %v", fields)
	}
}

func TestUnruledFieldIsFoundAndDenied(t *testing.T) {
	t.Parallel()
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: `
		directive @public on FIELD_DEFINITION | OBJECT
		type Query { open: Int @public forgotten: Int }`})
	if fields := document.Unruled(schema); len(fields) != 1 || fields[0] != "Query.forgotten" {
		t.Errorf("found %v", fields)
	}
	if err := prepare(t, schema, "{ forgotten }").CheckAccess(caller.OfSystem()); err == nil {
		t.Error("a field without a rule is readable")
	}
}

func TestCheckAccess(t *testing.T) {
	t.Parallel()
	schema := loadSchema(t)
	member := caller.Caller{AccountID: "a", Role: caller.Member, Scopes: caller.ScopesOf(caller.Member)}
	operator := caller.Caller{AccountID: "o", Role: caller.Operator, Scopes: caller.ScopesOf(caller.Operator)}
	key := caller.Caller{AccountID: "o", APIKeyID: "k", Role: caller.Operator, Scopes: []string{caller.TripRead}}
	cases := []struct {
		name  string
		who   caller.Caller
		query string
		want  errs.Code
	}{
		{"anybody signs in", caller.Caller{}, `mutation { login(input: {provider: DEMO, code: "x"}) { accessToken } }`, ""},
		{"who signs in is told who they are", caller.Caller{}, `mutation { login(input: {provider: DEMO, code: "x"}) { account { name } } }`, ""},
		{"nobody is told of others", caller.Caller{}, `{ node(id: "x") { ... on Account { name } } }`, errs.Unauthenticated},
		{"nobody sees trips", caller.Caller{}, `{ trips { nodes { id } } }`, errs.Unauthenticated},
		{"anybody introspects", caller.Caller{}, `{ __schema { types { name } } __typename }`, ""},
		{"a member sees trips", member, `{ trips { nodes { id account { name } } } }`, ""},
		{"a member sees no jobs", member, `{ jobs { nodes { id } } }`, errs.PermissionDenied},
		{"not in a fragment either", member, `{ ...f } fragment f on Query { viewer { scopes } jobs { nodes { id } } }`, errs.PermissionDenied},
		{"nor below an interface", member, `{ node(id: "x") { ... on Job { name } } }`, errs.PermissionDenied},
		{"an operator sees jobs", operator, `{ jobs { nodes { id } } }`, ""},
		{"a key sees what it was given", key, `{ trips { nodes { id } } }`, ""},
		{"a key sees no more", key, `{ trips { nodes { id vehicle { name } } } }`, errs.PermissionDenied},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := prepare(t, schema, c.query).CheckAccess(c.who)
			var got errs.Code
			if err != nil {
				got = errs.From(err).Code
			}
			if got != c.want {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
