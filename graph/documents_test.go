package graph_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/graph/exec"
	"github.com/sluicehq/sluice/internal/author"
)

// known is what random documents can ask for: what their writer sees, and some of what is not there.
type known struct {
	ids     map[string][]string // by field of Query: "device", "trip", ...
	all     []string
	cursors map[string][]string // by list: "devices", "trips", ...
}

// look reads what somebody sees.
func look(t testing.TB, gateway http.Handler, w who) *known {
	t.Helper()
	k := &known{ids: map[string][]string{}, cursors: map[string][]string{}}
	for field, list := range map[string]string{"device": "devices", "trip": "trips", "job": "jobs", "activity": "activities"} {
		shown := k.read(t, gateway, w, `{ list: `+list+`(first: 12) { edges { cursor node { id } } } }`)
		for _, edge := range shown.List.Edges {
			k.ids[field] = append(k.ids[field], edge.Node.ID)
			k.cursors[list] = append(k.cursors[list], edge.Cursor)
		}
	}
	for _, device := range k.read(t, gateway, w, `{ devices(first: 20) { nodes { commands(first: 3) { edges { cursor node { id } } } } } }`).Devices.Nodes {
		for _, edge := range device.Commands.Edges {
			k.ids["command"] = append(k.ids["command"], edge.Node.ID)
			k.cursors["commands"] = append(k.cursors["commands"], edge.Cursor)
		}
	}
	for _, key := range k.read(t, gateway, w, `{ apiKeys { id } }`).APIKeys {
		k.ids["apiKey"] = append(k.ids["apiKey"], key.ID)
	}
	if shown := k.read(t, gateway, w, `{ viewer { account { id } } }`); shown.Viewer.Account.ID != "" {
		k.ids["account"] = []string{shown.Viewer.Account.ID}
	}
	k.ids["nowhere"] = []string{
		"", "x", "trip_1", "trip_01jd2k0f3qe8x9w5t7v6m4n2p0", "device_01jd2k0f3qe8x9w5t7v6m4n2p0",
		"session_01jd2k0f3qe8x9w5t7v6m4n2p0", "spaceship_01jd2k0f3qe8x9w5t7v6m4n2p0",
	}
	for _, field := range slices.Sorted(maps.Keys(k.ids)) {
		k.all = append(k.all, k.ids[field]...)
	}
	return k
}

// seen is what look reads; what somebody may not see stays empty.
type seen struct {
	List    struct{ Edges []edgeSeen }
	Devices struct {
		Nodes []struct{ Commands struct{ Edges []edgeSeen } }
	}
	APIKeys []struct{ ID string }
	Viewer  struct{ Account struct{ ID string } }
}

type edgeSeen struct {
	Cursor string
	Node   struct{ ID string }
}

func (*known) read(t testing.TB, gateway http.Handler, w who, query string) seen {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"query": query})
	var shown struct{ Data seen }
	if err := json.Unmarshal(through(t, gateway, t.Context(), w, body).Body.Bytes(), &shown); err != nil {
		t.Fatal(err)
	}
	return shown.Data
}

func one[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// mostly gives one that will do; now and then another.
func mostly[T any](rng *rand.Rand, good []T, bad ...T) T {
	if rng.IntN(25) == 0 {
		return one(rng, bad...)
	}
	return one(rng, good...)
}

// enum prints bare in a document and as a text in variables.
type enum string

// documents writes documents that ask for what is known, as a caller of these scopes may.
func documents(k *known, scopes []string, seed uint64) *author.Author {
	schema := exec.NewExecutableSchema(exec.Config{}).Schema()
	a := &author.Author{Schema: schema, Rand: rand.New(rand.NewPCG(seed, 0)), Value: k.value}
	a.Avoid = func(object *ast.Definition, field *ast.FieldDefinition) bool {
		return !allowed(object, field, scopes) && a.Rand.IntN(300) > 0
	}
	return a
}

func allowed(object *ast.Definition, field *ast.FieldDefinition, scopes []string) bool {
	rule := field.Directives.ForName("requiresScopes")
	if rule == nil && field.Directives.ForName("authenticated") == nil {
		rule = object.Directives.ForName("requiresScopes")
	}
	if rule == nil {
		return true
	}
	return slices.ContainsFunc(rule.Arguments.ForName("scopes").Value.Children, func(all *ast.ChildValue) bool {
		return !slices.ContainsFunc(all.Value.Children, func(scope *ast.ChildValue) bool { return !slices.Contains(scopes, scope.Value.Raw) })
	})
}

// value writes a literal or declares a variable: mostly of the right type, mostly of what there is.
func (k *known) value(a *author.Author, place string, t *ast.Type) string {
	return k.written(a, place, t, k.made(a, place, t))
}

// made is a value of the type.
func (k *known) made(a *author.Author, place string, t *ast.Type) any {
	rng := a.Rand
	if !t.NonNull && rng.IntN(12) == 0 {
		return nil
	}
	if t.Elem != nil {
		list := []any{}
		for range rng.IntN(4) {
			list = append(list, k.made(a, place, t.Elem))
		}
		return list
	}
	definition := a.Schema.Types[t.NamedType]
	switch definition.Kind {
	case ast.Enum:
		return enum(one(rng, definition.EnumValues...).Name)
	case ast.InputObject:
		fields := map[string]any{}
		for _, field := range definition.Fields {
			if field.Type.NonNull || rng.IntN(5) == 0 {
				fields[field.Name] = k.made(a, place+"."+field.Name, field.Type)
			}
		}
		return fields
	}
	return k.scalar(rng, place, t.NamedType)
}

func (k *known) scalar(rng *rand.Rand, place, name string) any {
	switch name {
	case "ID":
		return k.id(rng, place)
	case "Int":
		switch {
		case strings.HasSuffix(place, "stepSeconds"):
			return mostly(rng, []int{86400, 172800}, 1, 0)
		case strings.HasSuffix(place, "maxPoints"):
			return mostly(rng, []int{2, 3, 10}, 1, 10001)
		}
		return mostly(rng, []int{1, 2, 3, 4, 5, 7}, 0, -1, 1001, 1<<31-1)
	case "Float":
		return mostly(rng, []float64{0.5, 10, 75}, -90, 1e300)
	case "DateTime":
		times := []string{"2013-01-01T00:00:00Z", "2013-12-10T00:00:00Z", "2013-12-12T00:00:00+01:00", "2026-07-01T12:00:00.000001Z"}
		if strings.HasSuffix(strings.ToLower(place), "from") {
			return mostly(rng, times[:2], "nonsense", times[3])
		}
		if strings.HasPrefix(place, "telemetry.") { // a batch of devices has a limit of points, which a single device does not reach
			times = times[:3]
		}
		return mostly(rng, times[2:], "nonsense", times[0])
	case "Cursor":
		list, _, _ := strings.Cut(place, ".")
		return mostly(rng, append(slices.Clone(k.cursors[list]), ""), "nonsense", one(rng, k.all...))
	case "JSON":
		return mostly[any](rng, []any{map[string]any{"site": "north"}}, []any{1, nil}, "text", nil)
	case "Boolean":
		return rng.IntN(2) == 0
	}
	if strings.HasSuffix(place, "timeZone") {
		return mostly(rng, []string{"UTC", "Europe/Berlin"}, "Nowhere/At_All", "")
	}
	return mostly(rng, []string{"temperature", "temperature", "taxi", "log"}, "", "a,b", "é\"\\\n")
}

// id is one of the kind that the place asks for.
func (k *known) id(rng *rand.Rand, place string) string {
	field, argument, _ := strings.Cut(place, ".")
	own := k.ids[field]
	for kind, ids := range k.ids {
		if strings.Contains(strings.ToLower(strings.Replace(argument, "vehicle", "device", 1)), strings.ToLower(kind)+"id") {
			own = ids
		}
	}
	if own == nil {
		own = k.all
	}
	return mostly(rng, own, k.all...)
}

// written writes a value into the document, and some of it into variables.
func (k *known) written(a *author.Author, place string, t *ast.Type, v any) string {
	if a.Rand.IntN(5) == 0 {
		return k.variable(a, t, v)
	}
	switch v := v.(type) {
	case []any:
		if t.Elem == nil { // free JSON
			break
		}
		var items []string
		for _, item := range v {
			items = append(items, k.written(a, place, t.Elem, item))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any:
		definition := a.Schema.Types[t.NamedType]
		var fields []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if definition.Kind != ast.InputObject { // free JSON
				fields = append(fields, name+": "+strconv.Quote(fmt.Sprint(v[name])))
				continue
			}
			fields = append(fields, name+": "+k.written(a, place, definition.Fields.ForName(name).Type, v[name]))
		}
		return "{" + strings.Join(fields, ", ") + "}"
	case enum:
		return string(v)
	}
	text, _ := json.Marshal(v)
	return string(text)
}

// variable declares one that has the value; or none, or another, or a default.
func (k *known) variable(a *author.Author, t *ast.Type, v any) string {
	declaration := t.String()
	if t.NamedType == "Int" && !t.NonNull && a.Rand.IntN(3) == 0 {
		declaration += " = 2"
	}
	switch {
	case a.Rand.IntN(40) == 0:
		return a.Variable(declaration, one[any](a.Rand, "text", 1.5, true, nil, []any{}, map[string]any{"x": 1}, -3))
	case !t.NonNull && a.Rand.IntN(4) == 0:
		return a.Variable(declaration)
	}
	return a.Variable(declaration, v)
}

// Every operation is planned, whatever its fields: the schema has no field that the reference executor
// would resolve.
func TestEveryFieldIsPlanned(t *testing.T) {
	t.Parallel()
	for _, object := range exec.Planned(exec.Config{}).Types {
		for name, field := range object.Fields {
			if field.Unplanned != "" {
				t.Errorf("%s.%s is run by the reference executor: %s", object.Name, name, field.Unplanned)
			}
		}
	}
}
