package policy

import (
	"reflect"
	"slices"
	"testing"

	"github.com/sluicehq/sluice/bff"
	bffentity "github.com/sluicehq/sluice/bff/entity"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/entity/entitytest"
)

func TestRulesHaveOneRuleForEachMethod(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, row := range bffentity.Rows() {
		for _, m := range row.Methods {
			if seen[m.Name] {
				t.Errorf("%s has two rules", m.Name)
			}
			seen[m.Name] = true
		}
	}
	ports := reflect.TypeFor[bff.Ports]()
	for i := range ports.NumField() {
		port := ports.Field(i)
		for n := range port.Type.NumMethod() {
			name := port.Name + "." + port.Type.Method(n).Name
			if !seen[name] {
				t.Errorf("%s has no rule: state whether its responses are cached, or what it invalidates", name)
			}
			delete(seen, name)
		}
	}
	for name := range seen {
		t.Errorf("%s has a rule, and there is no such method", name)
	}
}

func TestRulesAreComplete(t *testing.T) {
	t.Parallel()
	for _, r := range Rules() {
		switch r.Use {
		case bffentity.Bypass:
			if r.Reason == "" {
				t.Errorf("%s: state why its responses are not cached", r.Name)
			}
		case bffentity.Cached:
			if r.Scope == "" || r.TTL <= 0 || !slices.Contains(Kinds(), r.Kind) {
				t.Errorf("%s: state the kind, the scope and the TTL of its responses", r.Name)
			}
		case bffentity.Invalidates:
			if !slices.Contains(Kinds(), r.Kind) {
				t.Errorf("%s: state what it invalidates", r.Name)
			}
		}
	}
}

// Each field of a caller may limit what it sees. A new field must be added here, with whether rights depend on it.
func TestRightCoversEachFieldOfACaller(t *testing.T) {
	t.Parallel()
	covered := map[string]string{
		"AccountID": "own entities", "Role": "staff or not", "Scopes": "the scope of the rule, and of keys all",
		"APIKeyID": "each key alone", "DeviceLabels": "of keys only", "SessionID": "no", "Generation": "no", "PointsPerMinute": "no", "ExpiresAt": "no: an expired key is refused",
	}
	fields := reflect.TypeFor[caller.Caller]()
	for i := range fields.NumField() {
		if covered[fields.Field(i).Name] == "" {
			t.Errorf("does %s limit what a caller sees?", fields.Field(i).Name)
		}
	}
	key := caller.Caller{APIKeyID: "k", AccountID: "a", Role: caller.Operator, PointsPerMinute: 5}
	limited := key
	limited.DeviceLabels = map[string]string{"site": "north"}
	one, _ := rightOf(entity.Device, key)
	other, _ := rightOf(entity.Device, limited)
	signedIn, _ := rightOf(entity.Device, caller.Caller{AccountID: "a", Role: caller.Operator})
	if one == other || one == signedIn || signedIn != staffRight {
		t.Errorf("rights are %q, %q and %q", one, other, signedIn)
	}
}

// Callers of one right share cached responses, so they must see the same; the rule of internal/entity decides.
func TestCallersOfOneRightSeeTheSameEntities(t *testing.T) {
	t.Parallel()
	fixtures := entitytest.New()
	for _, kind := range Kinds() {
		for one, a := range fixtures.Callers {
			for other, b := range fixtures.Callers {
				rightOfA, known := rightOf(kind, a)
				rightOfB, alsoKnown := rightOf(kind, b)
				if !known || !alsoKnown || rightOfA != rightOfB {
					continue
				}
				for _, facts := range fixtures.Facts() {
					if kind.Sees(a, facts) != kind.Sees(b, facts) {
						t.Errorf("%s: %s and %s share the right %q and see %+v differently", kind, one, other, rightOfA, facts)
					}
				}
			}
		}
	}
}
