package gqlrequest_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/gateway/gqlrequest"
	"github.com/sluicehq/sluice/internal/errs"
)

var limits = gqlrequest.Limits{Depth: 8, Values: 100, Variables: 1000}

func TestARequestIsRead(t *testing.T) {
	t.Parallel()
	want := &gqlrequest.Request{
		Query: "{ a }", OperationName: "A", Variables: map[string]any{"n": json.Number("12345678901234567890")}, Extensions: map[string]any{"x": "y"},
	}
	got, err := limits.Read([]byte(` {"query": "{ a }", "operationName": "A", "variables": {"n": 12345678901234567890}, "extensions": {"x": "y"}, "id": [1]} `))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v", got, err)
	}
	u := &url.URL{RawQuery: url.Values{
		"query": {"{ a }"}, "operationName": {"A"}, "variables": {`{"n": 12345678901234567890}`}, "extensions": {`{"x":"y"}`}, "id": {"1", "2"},
	}.Encode()}
	if got, err := limits.ReadURL(u); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v", got, err)
	}
	for _, text := range []string{`{"query": "{ a }", "variables": null, "extensions": null, "operationName": null}`, `{"query": "{ a }", "variables": {}}`} {
		if got, err := limits.Read([]byte(text)); err != nil || !reflect.DeepEqual(got, &gqlrequest.Request{Query: "{ a }"}) {
			t.Errorf("%s: read %+v, %v", text, got, err)
		}
	}
}

func TestWhatIsRefusedBeforeItIsDecoded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, reason string }{
		{"a list", ` [{"query": "{ a }"}]`, "BATCHING_UNSUPPORTED"},
		{"a list that does not end", `[`, "BATCHING_UNSUPPORTED"},
		{"brackets without end", strings.Repeat("[", 100_000), "REQUEST_TOO_DEEP"},
		{"variables in each other", `{"query": "{ a }", "variables": ` + strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 10), "REQUEST_TOO_DEEP"},
		{"extensions in each other", `{"query": "{ a }", "extensions": {"a": ` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + "}}", "REQUEST_TOO_DEEP"},
		{"something unknown, in each other", `{"query": "{ a }", "x": ` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + "}", "REQUEST_TOO_DEEP"},
		{"many values", `{"query": "{ a }", "variables": {"a": [1` + strings.Repeat(",1", 100) + "]}}", "TOO_MANY_VALUES"},
		{"large variables", `{"query": "{ a }", "variables": {"a": "` + strings.Repeat("x", 1000) + `"}}`, "VARIABLES_TOO_LARGE"},
		{"a large query", `{"query": "{ a } #` + strings.Repeat("x", gqlrequest.MaxQuery) + `"}`, "QUERY_TOO_LARGE"},
		{"two queries", `{"query": "{ a }", "query": "{ b }"}`, "REQUEST_MALFORMED"},
		{"two queries, one of them in disguise", `{"query": "{ a }", "quer\u0079": "{ b }"}`, "REQUEST_MALFORMED"},
		{"variables that say one twice", `{"query": "{ a }", "variables": {"a": 1, "b": {"c": [{"d": "\"x\": ", "\u0064": 2}]}}}`, "REQUEST_MALFORMED"},
		{"extensions that say one twice", `{"query": "{ a }", "extensions": {"persistedQuery" : {}, "persistedQuery": {}}}`, "REQUEST_MALFORMED"},
		{"what is no UTF-8", "{\"query\": \"{ a } #\xff\"}", "REQUEST_MALFORMED"},
		{"a mark of the order of bytes", "\ufeff" + `{"query": "{ a }"}`, "REQUEST_MALFORMED"},
		{"another case", `{"Query": "{ a }"}`, "REQUEST_MALFORMED"},
		{"nothing", "", "REQUEST_MALFORMED"},
		{"a text", `"{ a }"`, "REQUEST_MALFORMED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := limits.Read([]byte(c.text))
			refused(t, got, err, c.reason)
		})
	}
	for _, c := range []struct{ name, query, reason string }{
		{"two queries in the URL", "query={a}&query={b}", "REQUEST_MALFORMED"},
		{"deep variables in the URL", "query={a}&variables={%22a%22:" + strings.Repeat("[", 9) + strings.Repeat("]", 9) + "}", "REQUEST_TOO_DEEP"},
		{"variables in the URL with something after them", "query={a}&variables={}{}", "REQUEST_MALFORMED"},
		{"variables in the URL that say one twice", "query={a}&variables={%22a%22:1,%22a%22:1}", "REQUEST_MALFORMED"},
		{"what is no UTF-8 in the URL", "query={a}%23%ff", "REQUEST_MALFORMED"},
		{"a list in the URL", "query={a}&variables=[1]", "REQUEST_MALFORMED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := limits.ReadURL(&url.URL{RawQuery: c.query})
			refused(t, got, err, c.reason)
		})
	}
}

func TestAListIsRead(t *testing.T) {
	t.Parallel()
	batching := limits
	batching.Batch = 2
	for text, want := range map[string][]string{
		` [ {"query": "{ a, [b] }", "variables": {"x": [1]}} , {"query": "{ c }"} ] `: {"{ a, [b] }", "{ c }"},
		`[{"query": "{ a }"}]`: {"{ a }"},
		`{"query": "{ a }"}`:   {"{ a }"},
	} {
		all, list, err := batching.ReadAll([]byte(text))
		if err != nil || len(all) != len(want) || list != strings.HasPrefix(strings.TrimSpace(text), "[") {
			t.Errorf("%s: read %+v, %t, %v", text, all, list, err)
			continue
		}
		for i := range want {
			if all[i].Query != want[i] {
				t.Errorf("%s: the operation %d is %q", text, i, all[i].Query)
			}
		}
	}
	if _, _, err := limits.ReadAll([]byte(`[{"query": "{ a }"}]`)); errs.From(err).Reason != "BATCHING_UNSUPPORTED" {
		t.Errorf("where lists are not taken: %v", err)
	}
}

func refused(t *testing.T, got *gqlrequest.Request, err error, reason string) {
	t.Helper()
	e, ok := errors.AsType[*errs.Error](err)
	if !ok || e.Code != errs.InvalidArgument || e.Reason != reason {
		t.Errorf("read %+v, %v; want %s", got, err, reason)
	}
}
