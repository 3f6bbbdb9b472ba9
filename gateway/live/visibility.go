package live

import (
	"maps"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/gateway/live/filter"
	"github.com/sluicehq/sluice/internal/caller"
)

// sight is what a caller may see of events, as the services rule it for reads. Members of one group
// have the same sight, so that an answer made for one of them may be given to all.
type sight struct{ who caller.Caller }

// sightOf leaves out of the caller what does not bear on what it may see. Staff see the same, whoever
// they are; what depends on an account shows them none.
func sightOf(who caller.Caller) sight {
	scopes := slices.Clone(who.Scopes)
	slices.Sort(scopes)
	kept := caller.Caller{Role: who.Role, Scopes: slices.Compact(scopes), DeviceLabels: who.DeviceLabels}
	if !who.Staff() {
		kept.AccountID, kept.APIKeyID = who.AccountID, who.APIKeyID
	}
	return sight{who: kept}
}

// key is the same for callers with the same sight, and for no others.
func (s sight) key() string {
	parts := []string{string(s.who.Role), s.who.AccountID, s.who.APIKeyID, strings.Join(s.who.Scopes, " ")}
	for _, name := range slices.Sorted(maps.Keys(s.who.DeviceLabels)) {
		parts = append(parts, name, s.who.DeviceLabels[name]) // neither has control characters
	}
	return strings.Join(parts, "\x00")
}

// sees tells whether the caller may know of the event.
func (s sight) sees(e *eventstream.Event) bool {
	if d, ok := e.Node.(*bff.Device); ok && !filter.HasLabels(d, s.who.DeviceLabels) {
		return false
	}
	if e.Entity == bff.EntityLogLine && len(s.who.DeviceLabels) > 0 {
		return false // a line does not say what labels its device has
	}
	if s.who.Staff() {
		return true
	}
	switch e.Entity {
	case bff.EntityActivity:
		return e.Owner == "" || (s.who.AccountID != "" && e.Owner == s.who.AccountID)
	case bff.EntityTrip:
		return s.who.MayActFor(e.Owner)
	case bff.EntityDevice:
		d, ok := e.Node.(*bff.Device)
		return ok && d.Kind == vehicle
	case bff.EntityJob:
		return e.Owner == s.who.Name()
	}
	return false
}

// vehicle is the kind of device that members see.
const vehicle bff.DeviceKind = "VEHICLE"
