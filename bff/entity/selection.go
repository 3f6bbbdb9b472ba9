package entity

import (
	"slices"
	"strings"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
)

// Selection is a compiled topic: the conditions of an event, and its keys in the index.
type Selection struct {
	Kind       entity.Kind
	Change     string // of the events; "" for every change
	Conditions []func(bff.Node) bool
	// Keys are keys of the index: every selected event has one of them. Without keys every event of the kind is
	// tried.
	Keys []Key
}

// Key is a value of a property, such as {"telescope", "keck i"}.
type Key struct{ Property, Value string }

// maxValues bounds the values of one list in a filter.
const maxValues = 100

// Select compiles a topic. An invalid topic is INVALID_ARGUMENT.
func Select(topic bff.Topic) (*Selection, error) {
	r := byKind[topic.Entity]
	if r == nil || r.decode == nil {
		return nil, errs.Invalid("subscription", "there are no events of %s", topic.Entity)
	}
	s := &Selection{Kind: topic.Entity, Change: topic.Change}
	if bff.HasEmptyList(topic.Filter) {
		s.oneOf("id", []string{}, bff.Node.GetID)
	}
	if topic.ID != "" {
		s.oneOf("id", []string{topic.ID}, bff.Node.GetID)
	}
	if r.filter == nil {
		return s, nil
	}
	return s, r.filter(s, topic.Filter)
}

// Contains reports whether the event meets all conditions.
func (s *Selection) Contains(e *bff.Event) bool {
	if e.Entity != s.Kind || e.Node == nil || s.Change != "" && e.Change != s.Change {
		return false
	}
	for _, holds := range s.Conditions {
		if !holds(e.Node) {
			return false
		}
	}
	return true
}

// Narrow lets the index use the owners that a caller sees, if the filter has no keys.
func (s *Selection) Narrow(visible entity.Visibility) *Selection {
	if visible.All || s.Keys != nil || len(visible.Kinds) > 0 {
		return s
	}
	if visible.Public {
		s.Keys = keysOf("owner", []string{"", visible.Owner})
	} else if visible.Owner != "" {
		s.Keys = keysOf("owner", []string{visible.Owner})
	}
	return s
}

// oneOf adds the condition that the property has one of the values; nil is no condition. The
// index uses the first property with the fewest values.
func (s *Selection) oneOf(property string, values []string, of func(bff.Node) string) {
	if values == nil {
		return
	}
	values = slices.Clone(values)
	s.Conditions = append(s.Conditions, func(n bff.Node) bool { return slices.Contains(values, of(n)) })
	if s.Keys == nil || len(values) < len(s.Keys) {
		s.Keys = keysOf(property, values)
	}
}

func keysOf(property string, values []string) []Key {
	keys := make([]Key, 0, len(values))
	for _, v := range values {
		if k := (Key{property, v}); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

func (s *Selection) nameContains(part *string, of func(bff.Node) string) {
	if want := folded(part); want != "" {
		s.Conditions = append(s.Conditions, func(n bff.Node) bool { return strings.Contains(strings.ToLower(of(n)), want) })
	}
}

func tooManyValues() error {
	return errs.Invalid("filter", "a list has more than %d values", maxValues)
}

func texts[S ~string](names []S) []string {
	if names == nil {
		return nil
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return out
}

func hasLabels(d *bff.Device, labels map[string]string) bool {
	return entity.Visibility{All: true, Labels: labels}.Sees(deviceFacts(d))
}
