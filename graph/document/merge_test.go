package document_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/sluicehq/sluice/graph/document"
)

const pets = `
	type Query { pet: Pet dog: Dog cat: Cat pets: [Pet] }
	interface Pet { name(long: Boolean, tags: [String]): String friend: Pet }
	type Dog implements Pet { name(long: Boolean, tags: [String]): String friend: Pet age: Int volume: Int! barks: Boolean best: Dog }
	type Cat implements Pet { name(long: Boolean, tags: [String]): String friend: Pet age: Int volume: Int lives: Int best: [Cat] }`

func conflicts(schema *ast.Schema, parsed *ast.QueryDocument, r *rules.Rules) gqlerror.List {
	return validator.ValidateWithRules(schema, parsed, r)
}

func TestConflictingFieldsAreRefused(t *testing.T) {
	t.Parallel()
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: pets})
	for _, c := range []struct{ name, query, conflict string }{
		{"the same twice", `{ dog { name name } dog { name } }`, ""},
		{"two fields of one name", `{ dog { a: name a: age } }`, "different fields"},
		{"a field in the name of another", `{ dog { name: age name } }`, "different fields"},
		{"other arguments", `{ dog { name(long: true) name(long: false) } }`, "differing arguments"},
		{"no arguments", `{ dog { name(long: true) name } }`, "differing arguments"},
		{"other items in a list", `{ dog { name(tags: ["a"]) name(tags: ["b"]) } }`, "differing arguments"},
		{"arguments in another order", `{ dog { name(long: true, tags: []) name(tags: [], long: true) } }`, ""},
		{"variables", `query($a: Boolean, $b: Boolean) { dog { name(long: $a) name(long: $b) } }`, "differing arguments"},
		{"of objects that are never the same", `{ pet { ... on Dog { a: age } ... on Cat { a: lives } } }`, ""},
		{"of an interface and its object", `{ pet { a: name ... on Dog { a: barks } } }`, "different fields"},
		{"of an interface and its object, of one type", `{ pet { a: name(long: true) ... on Dog { a: name } } }`, "differing arguments"},
		{"other types of objects that are never the same", `{ pet { ... on Dog { a: age } ... on Cat { a: name } } }`, "conflicting types"},
		{"nullable or not", `{ pet { ... on Dog { volume } ... on Cat { volume } } }`, "conflicting types"},
		{"a list or not", `{ pet { ... on Dog { best { age } } ... on Cat { best { age } } } }`, "conflicting types"},
		{"below", `{ dog { best { a: age } } dog { best { a: barks } } }`, "different fields"},
		{"below, through fragments", `{ dog { ...f best { a: age } } } fragment f on Dog { best { ...g } } fragment g on Dog { a: barks }`, "different fields"},
		{"below objects that are never the same", `{ pet { ... on Dog { friend { a: name } } ... on Cat { friend { a: name(long: true) } } } }`, ""},
		{"below objects that are never the same, other types", `{ pet { ... on Dog { friend { ... on Dog { a: age } } } ... on Cat { friend { ... on Cat { a: name } } } } }`, "conflicting types"},
		{"in the second operation", `query a { dog { name } } query b { dog { a: name a: age } }`, "different fields"},
		{"only in different operations", `query a { dog { a: name } } query b { dog { a: age } }`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			problems := conflicts(schema, parse(t, c.query), document.Rules(true))
			if c.conflict == "" && len(problems) > 0 || c.conflict != "" && (len(problems) == 0 || !strings.Contains(problems.Error(), c.conflict)) {
				t.Errorf("%s: %v, want %q", c.query, problems, c.conflict)
			}
		})
	}
}

// On documents of every sort, small enough for the usual rule, both rules say the same.
func TestMergeRuleAgreesWithGqlparser(t *testing.T) {
	t.Parallel()
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: pets})
	usual := rules.NewRules(rules.OverlappingFieldsCanBeMergedRule)
	ours := rules.NewRules()
	ours.AddRule("ours", document.Rules(true).GetInner()[rules.OverlappingFieldsCanBeMergedRule.Name])
	found := 0
	for seed := range uint64(20_000) {
		w := &petWriter{schema: schema, r: rand.New(rand.NewPCG(seed, 7))}
		query := "{ " + w.set("Query", 4) + "} fragment f on Pet { " + w.leaf("Pet") + "} fragment g on Dog { " + w.leaf("Dog") + "}"
		want, got := conflicts(schema, parse(t, query), usual), conflicts(schema, parse(t, query), ours)
		if (len(want) > 0) != (len(got) > 0) {
			t.Fatalf("%s:\nthe usual rule says %v\nours says %v", query, want, got)
		}
		if len(want) > 0 {
			found++
		}
	}
	if found < 2000 || found > 18_000 {
		t.Errorf("%d of 20000 documents have conflicts: too few or too many to tell", found)
	}
}

// petWriter writes documents whose fields exist, and often conflict.
type petWriter struct {
	schema *ast.Schema
	r      *rand.Rand
}

func (w *petWriter) set(on string, depth int) string {
	var b strings.Builder
	for range 1 + w.r.IntN(3) {
		b.WriteString(w.item(on, depth))
	}
	return b.String()
}

func (w *petWriter) item(on string, depth int) string {
	if on != "Query" {
		switch w.r.IntN(6) {
		case 0:
			return "...f "
		case 1:
			if on != "Cat" {
				return "...g "
			}
		case 2:
			to := []string{"Pet", on}[w.r.IntN(2)]
			if on == "Pet" {
				to = []string{"Dog", "Cat"}[w.r.IntN(2)]
			}
			return "... on " + to + " { " + w.set(to, depth) + "} "
		}
	}
	fields := w.schema.Types[on].Fields
	for {
		f := fields[w.r.IntN(len(fields))]
		composite := w.schema.Types[f.Type.Name()].IsCompositeType()
		if strings.HasPrefix(f.Name, "__") || composite && depth == 0 {
			continue
		}
		if composite {
			return f.Name + " { " + w.set(f.Type.Name(), depth-1) + "} "
		}
		return w.named(f)
	}
}

func (w *petWriter) named(f *ast.FieldDefinition) string {
	text := f.Name
	if w.r.IntN(8) == 0 {
		text = []string{"name", "age"}[w.r.IntN(2)] + ": " + text
	}
	if f.Name == "name" && w.r.IntN(8) == 0 {
		text += "(long: true)"
	}
	return text + " "
}

func (w *petWriter) leaf(on string) string {
	if on == "Dog" && w.r.IntN(2) == 0 {
		return w.named(w.schema.Types[on].Fields.ForName("age"))
	}
	return w.named(w.schema.Types[on].Fields.ForName("name"))
}

// Documents that would keep the usual rule busy for longer than anybody can wait.
func TestMergeRuleEndsInTime(t *testing.T) {
	t.Parallel()
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: pets})
	nested := strings.Repeat("best { ", 60) + "age" + strings.Repeat(" } best { age }", 60)
	for name, query := range map[string]string{
		"fields below fields":    "{ dog { " + nested + " } }",
		"fragments below fields": "{ dog { ...f0 " + nested + " } }" + chain(60, "Dog", "best", "age"),
		"interfaces and objects": "{ pet { " + strings.Repeat("friend { ... on Dog { friend { name } } ... on Cat { friend { name } } ", 60) + "name" + strings.Repeat("} ", 60) + "} }",
	} {
		if problems := conflicts(schema, parse(t, query), document.Rules(true)); len(problems) > 10 {
			t.Errorf("%s: %d problems", name, len(problems))
		}
	}
}
