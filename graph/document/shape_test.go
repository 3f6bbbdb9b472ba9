package document_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"

	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

func parse(t testing.TB, query string) *ast.QueryDocument {
	t.Helper()
	parsed, err := parser.ParseQuery(&ast.Source{Input: query})
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return errs.From(err).Reason
}

// chain is fragments of which each spreads the next one twice, under two names.
func chain(length int, on, field, last string) string {
	var b strings.Builder
	for i := range length {
		fmt.Fprintf(&b, " fragment f%d on %s { %s { ...f%d } b: %s { ...f%d } }", i, on, field, i+1, field, i+1)
	}
	fmt.Fprintf(&b, " fragment f%d on %s { %s }", length, on, last)
	return b.String()
}

func TestCheckRefusesDocumentsBeyondLimits(t *testing.T) {
	t.Parallel()
	limits := document.Limits{Depth: 5, Aliases: 2, Fields: 12, RootFields: 3, Directives: 3, FieldDirectives: 2, Duplicates: 2}
	for _, c := range []struct{ name, query, reason string }{
		{"deep enough", `{ a { b { c { d { e } } } } }`, ""},
		{"too deep", `{ a { b { c { d { e { f } } } } } }`, "QUERY_TOO_DEEP"},
		{"too deep through fragments", `{ a { ...f } } fragment f on A { b { c { ...g } } } fragment g on C { d { ... on D { e { f } } } }`, "QUERY_TOO_DEEP"},
		{"introspection has a depth of its own", `{ __schema { a { b { c { d { e { f } } } } } } }`, ""},
		{"introspection that is too deep", "{ __schema " + strings.Repeat("{ a ", 21) + strings.Repeat("}", 21) + " }", "QUERY_TOO_DEEP"},
		{"two aliases", `{ a: x b: x x }`, ""},
		{"three aliases", `{ a: x b: x c: x }`, "TOO_MANY_ALIASES"},
		{"aliases by spreading", `{ x { ...f } y { ...f } } fragment f on X { a: x b: x }`, "TOO_MANY_ALIASES"},
		{"aliases of introspection", `{ __schema { a: x b: x c: x } }`, "TOO_MANY_ALIASES"},
		{"three at the top", `{ a b c }`, ""},
		{"four at the top", `{ a b c d }`, "TOO_MANY_ROOT_FIELDS"},
		{"four at the top by fragments", `{ a ... { b ...f } } fragment f on Query { c d }`, "TOO_MANY_ROOT_FIELDS"},
		{"three directives", `query @a { a @b ... @c { b } }`, ""},
		{"four directives", `query @a { a @b ... @c { b } ...f @d } fragment f on Query { a }`, "TOO_MANY_DIRECTIVES"},
		{"directives by spreading", `{ a { ...f } b { ...f } } fragment f on A { a @b b @b }`, "TOO_MANY_DIRECTIVES"},
		{"three directives in one place", `{ a @b @b @b }`, "TOO_MANY_DIRECTIVES"},
		{"two duplicates", `{ a { x x } b { y y } }`, ""},
		{"three duplicates", `{ a { x x x } b { y y } }`, "TOO_MANY_DUPLICATES"},
		{"fragments as duplicates", `{ a { ...f ...f ...f ...f } } fragment f on A { x }`, "TOO_MANY_DUPLICATES"},
		{"fragments without a name as duplicates", `{ a { ... { x } ... { x } ... { x } ... on A { x } } b { x x } }`, "TOO_MANY_DUPLICATES"},
		{"fragments of several types", `{ a { ... on A { x } ... on B { x } ... on C { x } ... { x } } }`, ""},
		{"twelve fields", `{ a { b c d e f } g { h i j k l } }`, ""},
		{"thirteen fields", `{ a { b c d e f } g { h i j k l m } }`, "TOO_MANY_FIELDS"},
		{"thirteen fields in two operations", `query a { a { b c d e f } } query b { g { h i j k l m } }`, "TOO_MANY_FIELDS"},
		{"thirteen fields by spreading", `{ a { ...f } b { ...f } c { ...f } } fragment f on A { a b c d }`, "TOO_MANY_FIELDS"},
		{"thirteen fields that nobody asks for", `{ a } fragment f on A { a b c d e f g h i j k l m }`, "TOO_MANY_FIELDS"},
		{"the limit is that of an operation", `query a { a: x b: x } query b { a: x b: x }`, ""},
		{"what is deferred", `{ a { ... @defer { b } } }`, "DEFER_UNSUPPORTED"},
		{"what is deferred in a fragment", `{ a { ...f } } fragment f on A { ...g @defer(if: false) } fragment g on A { a }`, "DEFER_UNSUPPORTED"},
		{"two to the fifty", `{ a { ...f0 } }` + chain(50, "A", "a", "x"), "QUERY_TOO_DEEP"},
		{"two to the fifty that nobody asks for", `{ a }` + chain(50, "A", "a", "x"), "TOO_MANY_FIELDS"},
		{"two to the fifty types", `{ __schema { queryType { ...f0 } } }` + chain(50, "__Type", "ofType", "name"), "QUERY_TOO_DEEP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := document.Check(parse(t, c.query), limits); reasonOf(err) != c.reason {
				t.Errorf("got %v, want %q", err, c.reason)
			}
		})
	}
}

// A fragment that spreads itself would keep those busy who follow fragments.
func TestFragmentCycleIsRefused(t *testing.T) {
	t.Parallel()
	for _, query := range []string{
		`{ a { ...f } } fragment f on A { a { ...f } }`,
		`{ a { ...f } } fragment f on A { ...g } fragment g on A { a { ...f } b: a { ...f } }`,
		`{ a } fragment f on A { ...f }`,
		`{ a { a { a } ...f } } fragment f on A { a { a { ...f } ...f } }`,
	} {
		err := document.Check(parse(t, query), document.Limits{Depth: 15})
		if err == nil || !strings.Contains(err.Error(), "spreads itself") {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestCheckLimits(t *testing.T) {
	t.Parallel()
	schema := loadSchema(t)
	two := `{ trips { nodes { track { latitude } } } }`
	if err := prepare(t, schema, two).CheckLimits(document.Limits{Lists: 2}); err != nil {
		t.Error(err)
	}
	spread := `{ trips { nodes { ...t } } } fragment t on Trip { track { latitude } }`
	for _, query := range []string{two, spread} {
		if err := prepare(t, schema, query).CheckLimits(document.Limits{Lists: 1}); reasonOf(err) != "TOO_MANY_NESTED_LISTS" {
			t.Errorf("%s: %v", query, err)
		}
	}
}

func TestIntrospectionNeedsItsScope(t *testing.T) {
	t.Parallel()
	schema := loadSchema(t)
	for query, looks := range map[string]bool{
		`{ __schema { description } }`:                                      true,
		`{ __type(name: "Trip") { name } }`:                                 true,
		`{ ...f } fragment f on Query { ... { __schema { description } } }`: true,
		`{ __typename viewer { __typename scopes } }`:                       false,
	} {
		p := prepare(t, schema, query)
		for who, may := range map[caller.Role]bool{"": false, caller.Member: false, caller.Operator: true, caller.Admin: true} {
			err := p.CheckIntrospection(caller.Caller{Role: who, Scopes: caller.ScopesOf(who)})
			if (err == nil) != (may || !looks) {
				t.Errorf("%s as %q: %v", query, who, err)
			}
		}
	}
}

// worst are documents that pass Check under usual limits and give as much work as possible.
func worst() map[string]string {
	fields := func(n int, each string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, each+" ", i)
		}
		return b.String()
	}
	var interfaces strings.Builder
	interfaces.WriteString("{ nodes(ids: []) { ")
	for _, on := range []string{"Trip", "Device", "Job", "Activity", "Account", "ApiKey"} {
		interfaces.WriteString("... on " + on + " { id ... on Node { id ... on " + on + " { id } } } ")
	}
	interfaces.WriteString("} }")
	return map[string]string{
		"fields that are not there":  "{ viewer { " + fields(1990, "field%d") + " } }",
		"types that are not there":   "{ viewer { " + fields(600, "... on Type%d { id }") + " } }",
		"fragments in a row":         "{ viewer { ...f0 } } " + fields(600, "fragment f%d on Viewer { scopes }"),
		"many operations":            fields(600, "query q%d { __typename }"),
		"many variables":             "query(" + fields(600, "$v%d: Int") + ") { __typename }",
		"arguments that are unknown": "{ trips(" + fields(1200, "a%d: 1") + ") { totalCount } }",
		"interfaces and types":       interfaces.String(),
		"overlaps":                   "{ viewer { account { " + strings.Repeat("... on Account { name ... on Node { id ", 330) + strings.Repeat("} ", 660) + "} } }",
		"enums that are none":        "{ devices(filter: {kinds: [" + fields(2000, "KIND_%d") + "]}) { totalCount } }",
	}
}

// Whatever passes is read in a time that is in proportion to its length: no document costs more than so many times what
// it costs to parse it. On a machine that does something else, a document has more than one go.
func TestWorstDocumentsAreCheckedInTime(t *testing.T) {
	schema := loadSchema(t)
	const most, goes = 40, 10
	for _, suggest := range []bool{true, false} {
		for name, query := range worst() {
			ratio := math.Inf(1)
			for range goes {
				parsing := fastest(func() { parse(t, query) })
				reading := fastest(func() { readAll(t, schema, query, suggest) })
				if ratio = min(ratio, float64(reading)/float64(parsing)); ratio <= most {
					break
				}
			}
			if ratio > most {
				t.Errorf("%s: reading takes %.0f times as long as parsing", name, ratio)
			}
		}
	}
}

func readAll(t *testing.T, schema *ast.Schema, query string, suggest bool) {
	t.Helper()
	parsed := parse(t, query)
	if err := document.Check(parsed, document.Limits{Depth: 15, Aliases: 50}); err != nil {
		t.Fatalf("%.40s: %v", query, err)
	}
	_ = validator.ValidateWithRules(schema, parsed, document.Rules(suggest)) // most of them have faults
}

func fastest(work func()) time.Duration {
	var times []time.Duration
	for range 5 {
		started := time.Now()
		work()
		times = append(times, time.Since(started))
	}
	return slices.Min(times)
}
