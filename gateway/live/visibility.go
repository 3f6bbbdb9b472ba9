package live

import (
	"maps"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/internal/caller"
)

// visibility is the part of a caller that decides which events it sees, by internal/entity. The subscribers of one
// group have equal visibility, so they share responses.
type visibility struct{ who caller.Caller }

// visibilityOf drops the parts of a caller that do not change what it sees, such as the accounts of staff.
func visibilityOf(who caller.Caller) visibility {
	scopes := slices.Clone(who.Scopes)
	slices.Sort(scopes)
	kept := caller.Caller{Role: who.Role, Scopes: slices.Compact(scopes), DeviceLabels: who.DeviceLabels}
	if !who.Staff() {
		kept.AccountID, kept.APIKeyID = who.AccountID, who.APIKeyID
	}
	return visibility{who: kept}
}

// key is equal for callers with the same visibility, and different for all others.
func (v visibility) key() string {
	parts := []string{string(v.who.Role), v.who.AccountID, v.who.APIKeyID, strings.Join(v.who.Scopes, " ")}
	for _, name := range slices.Sorted(maps.Keys(v.who.DeviceLabels)) {
		parts = append(parts, name, v.who.DeviceLabels[name]) // neither has control characters
	}
	return strings.Join(parts, "\x00")
}

func (v visibility) sees(e *eventstream.Event) bool { return e.Entity.Sees(v.who, e.Facts) }
