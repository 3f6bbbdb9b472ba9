package live

import (
	"maps"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/internal/caller"
)

// visibility is the part of a caller that decides which events it sees, by the rule of internal/entity that also
// holds for reads. The subscribers of one group have the same visibility, so a response that is made for one of them
// is sent to all.
type visibility struct{ who caller.Caller }

// visibilityOf drops the parts of a caller that do not change what it sees. All staff with the same scopes see the
// same, so their accounts are dropped.
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
