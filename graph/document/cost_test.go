package document_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/internal/errs"
)

// shop is a small schema with a list of every sort.
const shop = `
	directive @cost(weight: Int!) on FIELD_DEFINITION | OBJECT
	directive @listSize(assumedSize: Int, slicingArguments: [String!]) on FIELD_DEFINITION
	type Query {
		item: Item
		dear: Item @cost(weight: 7)
		gem: Gem
		items(first: Int = 20, last: Int): Connection @listSize(slicingArguments: ["first", "last"])
		page(first: Int): Connection @listSize(slicingArguments: ["first"], assumedSize: 30)
		ten: [Item!] @listSize(assumedSize: 10)
		some(ids: [ID!]!): [Item] @listSize(slicingArguments: ["ids"])
		thing: Thing
	}
	type Connection { nodes: [Item!]! edges: [Edge!]! pageInfo: PageInfo! total: Int @cost(weight: 1) }
	type Edge { cursor: String node: Item! }
	type PageInfo { next: Boolean }
	type Item implements Thing { id: ID tags: [String!] maker: Maker items(first: Int = 20): Connection @listSize(slicingArguments: ["first"]) }
	type Maker @cost(weight: 3) { id: ID item: Item }
	type Gem @cost(weight: 0) { id: ID }
	interface Thing { id: ID }`

// vars are variables as they come out of JSON.
type vars = map[string]any

func number(n int) json.Number { return json.Number(fmt.Sprint(n)) }

func TestCost(t *testing.T) {
	t.Parallel()
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: shop})
	cases := []struct {
		name, query string
		variables   vars
		want        int
	}{
		{"nothing costs 1", `{ __typename }`, nil, 1},
		{"an object", `{ item { id tags } }`, nil, 1},
		{"two objects", `{ item { id } thing { id } }`, nil, 2},
		{"a field with a weight", `{ dear { id } }`, nil, 7},
		{"a type with a weight", `{ item { maker { id } } }`, nil, 1 + 3},
		{"a type that is free, beside one that is not", `{ gem { id } item { id } }`, nil, 1},
		{"an assumed size", `{ ten { id } }`, nil, 10},
		{"below an assumed size", `{ ten { maker { id } } }`, nil, 10 * (1 + 3)},
		{"a page", `{ items(first: 5) { nodes { id } } }`, nil, 1 + 5},
		{"a page by its edges", `{ items(first: 5) { edges { cursor node { id } } } }`, nil, 1 + 5*(1+1)},
		{"what is not an item is not multiplied", `{ items(first: 5) { pageInfo { next } total nodes { id } } }`, nil, 1 + 1 + 1 + 5},
		{"the default of the argument", `{ items { nodes { id } } }`, nil, 1 + 20},
		{"null is the default", `{ items(first: null) { nodes { id } } }`, nil, 1 + 20},
		{"the default comes before what is assumed, which is all that page has", `{ page { nodes { id } } }`, nil, 1 + 30},
		{"the larger of two arguments", `{ items(first: 5, last: 9) { nodes { id } } }`, nil, 1 + 9},
		{"lists in lists", `{ items(first: 5) { nodes { items(first: 4) { nodes { maker { id } } } } } }`, nil, 1 + 5*(1+1+4*(1+3))},
		{"as many as are named", `{ some(ids: ["a", "b", "c"]) { id } }`, nil, 3},
		{"one without brackets", `{ some(ids: "a") { maker { id } } }`, nil, 1 + 3},
		{"none", `{ items(first: 0) { nodes { maker { id } } } }`, nil, 1},
		{"fewer than none", `{ items(first: -5) { nodes { maker { id } } } dear { id } }`, nil, 1 + 7},
		{"a variable", `query($n: Int) { items(first: $n) { nodes { id } } }`, vars{"n": number(6)}, 1 + 6},
		{"a variable as a Go number", `query($n: Int) { items(first: $n) { nodes { id } } }`, vars{"n": int64(6)}, 1 + 6},
		{"a variable that is not there", `query($n: Int) { items(first: $n) { nodes { id } } }`, nil, 1 + 20},
		{"a variable that is null", `query($n: Int) { page(first: $n) { nodes { id } } }`, vars{"n": nil}, 1 + 30},
		{"a variable below none", `query($n: Int) { items(first: $n) { nodes { id } } }`, vars{"n": number(-6)}, 1},
		{"variables in variables", `query($n: Int, $m: Int) { items(first: $n) { nodes { items(first: $m) { nodes { id } } } } }`,
			vars{"n": number(6), "m": number(7)}, 1 + 6*(1+1+7)},
		{"a list in a variable", `query($ids: [ID!]!) { some(ids: $ids) { id } }`, vars{"ids": []any{"a", "b"}}, 2},
		{"variables in a list", `query($a: ID!) { some(ids: [$a, $a, "x"]) { id } }`, vars{"a": "a"}, 3},
		{"an inline fragment", `{ thing { ... on Item { maker { id } } } }`, nil, 1 + 3},
		{"fragments twice", `{ item { ...f ...f } } fragment f on Item { maker { id } }`, nil, 1 + 3 + 3},
		{"a fragment takes the length from where it is spread",
			`{ a: items(first: 5) { ...f } b: items(first: 3) { ...f } } fragment f on Connection { nodes { id } total }`, nil, 1 + 5 + 1 + 1 + 3 + 1},
		{"by a variable too", `query($n: Int) { a: items(first: $n) { ...f } b: items(first: 3) { ...f } } fragment f on Connection { nodes { id } total }`,
			vars{"n": number(5)}, 1 + 5 + 1 + 1 + 3 + 1},
		{"a fragment with a variable, twice", `query($n: Int) { a: item { ...f } b: dear { ...f } } fragment f on Item { items(first: $n) { nodes { id } } }`,
			vars{"n": number(5)}, 1 + 1 + 5 + 7 + 1 + 5},
		{"left out", `{ item { id } dear @skip(if: true) { id } }`, nil, 1},
		{"not left out", `{ item { id } dear @skip(if: false) @include(if: true) { id } }`, nil, 1 + 7},
		{"left out by a variable", `query($x: Boolean!) { item { id } dear @skip(if: $x) { id } }`, vars{"x": true}, 1},
		{"let in by a variable", `query($x: Boolean!) { item { id } dear @include(if: $x) { id } }`, vars{"x": true}, 1 + 7},
		{"a fragment left out", `query($x: Boolean!) { item { id ...f @include(if: $x) ... @skip(if: $x) { items { nodes { id } } } } } fragment f on Item { maker { id } }`,
			vars{"x": true}, 1 + 3},
		{"aliases", `{ a: item { id } b: item { id } c: item { id } }`, nil, 3},
		{"introspection", `{ __schema { types { name fields { name } } } a: __type(name: "Item") { name } }`, nil, 200},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := prepare(t, schema, c.query).Cost(c.variables); got != c.want {
				t.Errorf("%s %v costs %d, want %d", c.query, c.variables, got, c.want)
			}
		})
	}
}

// What the schema of Sluice makes of queries that people ask.
func TestCostOfTheSluiceSchema(t *testing.T) {
	t.Parallel()
	schema := loadSchema(t)
	cases := []struct {
		name, query string
		variables   vars
		want        int
	}{
		{"a sign-in", `mutation { login(input: {provider: DEMO, code: "x"}) { accessToken } }`, nil, 10},
		{"the dashboard", `{
			overview { devices { online } jobs { running } recentActivities { title } degraded }
			trips(first: 20) { nodes { id distance fee { amountMinor } vehicle { id name } account { name } } }
			jobs(first: 20) { nodes { id device { id } } }
			activities(first: 50) { nodes { id device { id } } }
			devices(first: 20) { nodes { id currentTrip { id } } } }`, nil,
			5 + 1 + 1 + 10 + 1 + 20*4 + 1 + 20*2 + 1 + 50*2 + 1 + 20*2},
		{"a large page with two references", `query($n: Int) { trips(first: $n) { totalCount nodes { vehicle { name } account { name } } } }`,
			vars{"n": number(1000)}, 1 + 1 + 1000*3},
		{"telemetry", `query($keys: [String!]!, $t: DateTime!) { device(id: "x") { telemetry(keys: $keys, from: $t, to: $t) { key points { at } } } }`,
			vars{"keys": []any{"a", "b"}, "t": "2026-01-01T00:00:00Z"}, 1 + 2*(5+100)},
		{"a track", `{ trip(id: "x") { track { at } } }`, nil, 1 + 5},
		{"many nodes", `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, vars{"ids": make([]any, 500)}, 500},
		{"who I am", `{ viewer { scopes budget { remaining } } }`, nil, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := prepare(t, schema, c.query).Cost(c.variables); got != c.want {
				t.Errorf("costs %d, want %d", got, c.want)
			}
		})
	}
}

func TestPriceAboveTheLimitIsRefused(t *testing.T) {
	t.Parallel()
	p := prepare(t, gqlparser.MustLoadSchema(&ast.Source{Input: shop}), `query($n: Int) { items(first: $n) { nodes { id } } }`)
	for n, reason := range map[int]string{99: "", 100: "QUERY_TOO_EXPENSIVE", 1 << 31: "QUERY_TOO_EXPENSIVE"} {
		points, err := p.Price(vars{"n": number(n)}, document.Limits{Cost: 100})
		if reason == "" && (err != nil || points != n+1) {
			t.Errorf("%d items cost %d, %v", n, points, err)
		}
		if reason != "" && (err == nil || errs.From(err).Reason != reason || errs.From(err).Code != errs.InvalidArgument) {
			t.Errorf("%d items: %v, want %s", n, err, reason)
		}
	}
	if points, err := p.Price(vars{"n": number(1 << 31)}, document.Limits{}); err != nil || points != 1<<31+1 {
		t.Errorf("without a limit: %d, %v", points, err)
	}
}

// Numbers too large to count end at a number that is larger than every budget, and never wrap around.
func TestCostIsBounded(t *testing.T) {
	t.Parallel()
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: shop})
	const most = 1 << 40
	deep := "{ items(first: 2147483647) { nodes { " + strings.Repeat("items(first: 2147483647) { nodes { ", 9) + "id" + strings.Repeat(" } }", 10) + " }"
	for _, query := range []string{
		deep,
		strings.ReplaceAll(deep, "2147483647", "9223372036854775807"),
		strings.ReplaceAll(deep, "2147483647", "99999999999999999999999999"),
	} {
		parsed, problems := gqlparser.LoadQueryWithRules(schema, query, nil)
		if len(problems) > 0 {
			continue // numbers that are none are refused before
		}
		if got := document.Prepare(schema, parsed.Operations[0]).Cost(nil); got != most {
			t.Errorf("%.60s costs %d, want %d", query, got, most)
		}
	}
	variable := prepare(t, schema, `query($n: Int) { items(first: $n) { nodes { items(first: $n) { nodes { items(first: $n) { nodes { id } } } } } } }`)
	for _, n := range []any{number(1<<31 - 1), json.Number("1e300"), json.Number("99999999999999999999"), 1e300} {
		if got := variable.Cost(vars{"n": n}); got != most {
			t.Errorf("%v costs %d, want %d", n, got, most)
		}
	}
}

// Fragments that spread each other twice, with a variable in the last so that nothing can be worked
// out ahead, would take 2^60 steps if each spread were counted again.
func TestCostOfNestedSpreadsIsComputedInTime(t *testing.T) {
	t.Parallel()
	var query strings.Builder
	query.WriteString("query($n: Int) { item { ...f0 } }")
	for i := range 60 {
		fmt.Fprintf(&query, " fragment f%d on Item { ...f%d ...f%d }", i, i+1, i+1)
	}
	query.WriteString(" fragment f60 on Item { items(first: $n) { nodes { id } } }")
	p := prepare(t, gqlparser.MustLoadSchema(&ast.Source{Input: shop}), query.String())
	started := time.Now()
	if got := p.Cost(vars{"n": number(1)}); got != 1<<40 {
		t.Errorf("costs %d", got)
	}
	if took := time.Since(started); took > 20*time.Second { // counted again it would never end
		t.Errorf("took %s", took)
	}
}

// A number in the document costs what the same number in a variable costs.
func TestCostOfVariablesEqualsCostOfLiterals(t *testing.T) {
	t.Parallel()
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: shop})
	const query = `{ a: items(first: N) { ...f } item { items(first: M) { ...f edges { node { items(first: N) { nodes { ...g } } } } } } }
		fragment f on Connection { nodes { ...g } total } fragment g on Item { items(first: M) { nodes { maker { id } } } }`
	for range 50 {
		n, m := rand.IntN(2000), rand.IntN(2000)
		written := strings.NewReplacer("N", fmt.Sprint(n), "M", fmt.Sprint(m)).Replace(query)
		variable := "query($n: Int, $m: Int) " + strings.NewReplacer("N", "$n", "M", "$m").Replace(query)
		want := prepare(t, schema, written).Cost(nil)
		if got := prepare(t, schema, variable).Cost(vars{"n": number(n), "m": number(m)}); got != want {
			t.Fatalf("first: %d and %d cost %d in variables and %d in the document", n, m, got, want)
		}
	}
}

func TestEveryListOfTheSchemaHasASize(t *testing.T) {
	t.Parallel()
	if fields := document.Unsized(loadSchema(t)); len(fields) > 0 {
		t.Errorf("these lists need a @listSize, or one on each field that leads to them: %v", fields)
	}
}

func TestUnsizedListIsFound(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing says it":               `type Query { forgotten: [T!] } type T { id: ID }`,
		"one way says it, another not":  `type Query { a: T @listSize(assumedSize: 2) b: T } type T { forgotten: [Query] }`,
		"said of a list that holds it":  `type Query { a: [T] @listSize(assumedSize: 2) } type T { forgotten: [Query] }`,
		"on an interface as on objects": `type Query { t: I } interface I { forgotten: [Query] }`,
	} {
		schema := gqlparser.MustLoadSchema(&ast.Source{Input: `directive @listSize(assumedSize: Int, slicingArguments: [String!]) on FIELD_DEFINITION ` + text})
		if fields := document.Unsized(schema); len(fields) != 1 || !strings.HasSuffix(fields[0], ".forgotten") {
			t.Errorf("%s: found %v", name, fields)
		}
	}
}

func BenchmarkCost(b *testing.B) {
	schema := loadSchema(b)
	for name, query := range map[string]string{
		"numbers":   `{ trips(first: 20) { nodes { vehicle { id } account { id } } } jobs(first: 20) { nodes { device { id } } } }`,
		"variables": `query($n: Int) { trips(first: $n) { nodes { vehicle { id } account { id } } } jobs(first: $n) { nodes { device { id } } } }`,
	} {
		b.Run(name, func(b *testing.B) {
			parsed, problems := gqlparser.LoadQueryWithRules(schema, query, nil)
			if len(problems) > 0 {
				b.Fatal(problems)
			}
			p := document.Prepare(schema, parsed.Operations[0])
			variables := vars{"n": number(20)}
			b.ReportAllocs()
			for b.Loop() {
				p.Cost(variables)
			}
		})
	}
}
