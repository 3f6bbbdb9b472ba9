package graph_test

import (
	"fmt"
	"strings"
	"testing"
)

// An operation with more combinations of @skip and @include than are planned is refused with a reason.
func TestOperationWithTooManyVariantsIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	admin := h.signIn(t, "admin")
	var declarations, fields strings.Builder
	for i := range 5 {
		fmt.Fprintf(&declarations, "$v%d: Boolean! ", i)
		fmt.Fprintf(&fields, "a%d: __typename @skip(if: $v%[1]d) ", i)
	}
	query := "query(" + declarations.String() + ") { viewer { scopes } " + fields.String() + "}"
	for combination := range 17 {
		variables := map[string]any{}
		for i := range 5 {
			variables[fmt.Sprint("v", i)] = combination>>i&1 == 1
		}
		a := h.ask(t, admin, query, variables)
		if combination < 16 && len(a.Errors) > 0 {
			t.Fatalf("combination %d: the response is %s", combination, a.text)
		}
		if combination == 16 && (len(a.Errors) != 1 || a.Errors[0].extension("reason") != "TOO_MANY_VARIANTS" || a.Data != nil) {
			t.Errorf("the response is %s", a.text)
		}
	}
	a := h.ask(t, admin, `query($v: Boolean = true) { viewer { scopes @skip(if: $v) } }`, map[string]any{"v": nil})
	if len(a.Errors) != 1 || a.Errors[0].extension("code") != "GRAPHQL_VALIDATION_FAILED" {
		t.Errorf("the response to a null condition is %s", a.text)
	}
}

// Introspection beside data is resolved with it.
func TestIntrospectionBesideDataIsPlanned(t *testing.T) {
	t.Parallel()
	h := open(t)
	a := h.ask(t, h.signIn(t, "admin"), `{ kind: __type(name: "Trip") { name } viewer { scopes } __schema { queryType { name } } }`, nil)
	if len(a.Errors) > 0 || !strings.HasPrefix(a.text, `{"data":{"kind":{"name":"Trip"},"viewer":{"scopes":[`) ||
		!strings.Contains(a.text, `]},"__schema":{"queryType":{"name":"Query"}}}`) {
		t.Errorf("the response is %s", a.text)
	}
}
