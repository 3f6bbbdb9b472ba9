// Package filter compiles the arguments of a subscription to a filter, and indexes filters by the events that they select.
//
// It promises that a filter selects the same rows as the list query with the same arguments, and that the cost of an event
// grows with the filters that it matches, not with all of them. Arguments that are not valid are INVALID_ARGUMENT; nothing in
// this package fails after a filter is compiled.
package filter

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// Filter is a topic made ready: whether an event is of it, and where the index finds it.
type Filter struct {
	entity  bff.Entity
	account string // of the owner; "" for any
	tests   []test
	// keys are where the index keeps it: it cannot match an event that has none of them. None at all
	// means every event of the entity.
	keys []Key
}

// test holds for the events that one condition selects.
type test func(bff.Node) bool

// Key is one value of one property: {"telescope", "keck i"}.
type Key struct{ property, value string }

// maxValues bounds the values of one list in a filter.
const maxValues = 100

// New reads the topic; what cannot be asked is INVALID_ARGUMENT.
func New(topic bff.Topic) (*Filter, error) {
	f := &Filter{entity: topic.Entity}
	var err error
	switch topic.Entity {
	case bff.EntityActivity:
		err = f.activity(topic.Activity)
	case bff.EntityDevice:
		err = f.device(topic.Device)
	case bff.EntityTrip:
		if topic.TripID != "" {
			f.oneOf("id", []string{topic.TripID}, func(n bff.Node) string { return n.GetID() })
		}
	case bff.EntityLogLine:
		f.oneOf("id", []string{topic.Command}, func(n bff.Node) string { return n.GetID() })
	case bff.EntityJob:
		err = f.job(topic.Job)
	default:
		return nil, errs.Invalid("subscription", "there are no events of %s", topic.Entity)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Matches tells whether the filter selects the event.
func (f *Filter) Matches(e *bff.Event) bool {
	if e.Entity != f.entity || e.Node == nil || (f.account != "" && e.Owner != f.account) {
		return false
	}
	for _, holds := range f.tests {
		if !holds(e.Node) {
			return false
		}
	}
	return true
}

// oneOf wants the property to be one of the values; no values want nothing. The first property that
// is asked for with the fewest values is the one that the index uses.
func (f *Filter) oneOf(property string, values []string, of func(bff.Node) string) {
	if len(values) == 0 {
		return
	}
	values = slices.Clone(values)
	f.tests = append(f.tests, func(n bff.Node) bool { return slices.Contains(values, of(n)) })
	if f.keys == nil || len(values) < len(f.keys) {
		f.keys = keysOf(property, values)
	}
}

// ownedBy is where the index keeps what can match events of these owners only.
func ownedBy(owners ...string) []Key { return keysOf("owner", owners) }

// Narrow lets the index use what the sight leaves to be seen, when the filter itself names less.
func (f *Filter) Narrow(who caller.Caller) *Filter {
	if who.Staff() || f.keys != nil {
		return f
	}
	switch f.entity {
	case bff.EntityActivity:
		f.keys = ownedBy("", who.AccountID)
	case bff.EntityTrip:
		f.keys = ownedBy(who.AccountID)
	case bff.EntityJob:
		f.keys = ownedBy(who.Name())
	}
	return f
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

// property is what the index knows of an entity.
type property[V any] struct {
	name string
	of   func(V) string
}

// activityTexts are compared without case, as the activity service does.
var activityTexts = []property[*bff.Activity]{ // a table, never written
	{"actor", func(a *bff.Activity) string { return folded(a.Actor) }},
	{"telescope", func(a *bff.Activity) string { return folded(observation(a).Telescope) }},
	{"instrument", func(a *bff.Activity) string { return folded(observation(a).Instrument) }},
	{"programme", func(a *bff.Activity) string { return folded(observation(a).Programme) }},
	{"observer", func(a *bff.Activity) string { return folded(observation(a).Observer) }},
	{"target", func(a *bff.Activity) string { return folded(observation(a).Target) }},
	{"status", func(a *bff.Activity) string { return folded(observation(a).Status) }},
}

func observation(a *bff.Activity) bff.Observation {
	if a.Observation == nil {
		return bff.Observation{}
	}
	return *a.Observation
}

func folded(s *string) string {
	if s == nil {
		return ""
	}
	return strings.ToLower(*s)
}

func (f *Filter) activity(in *bff.ActivityFilter) error {
	if in == nil {
		return nil
	}
	if len(in.Kinds) > maxValues || len(in.Sources) > maxValues {
		return tooManyValues()
	}
	f.texts([]*string{in.Actor, in.Telescope, in.Instrument, in.Programme, in.Observer, in.Target, in.Status})
	if in.DeviceID != nil && *in.DeviceID != "" {
		f.oneOf("device", []string{*in.DeviceID}, func(n bff.Node) string { return n.(*bff.Activity).DeviceID })
	}
	if in.AccountID != nil && *in.AccountID != "" {
		f.account, f.keys = *in.AccountID, ownedBy(*in.AccountID)
	}
	f.oneOf("source", in.Sources, func(n bff.Node) string { return n.(*bff.Activity).Source })
	f.oneOf("kind", texts(in.Kinds), func(n bff.Node) string { return string(n.(*bff.Activity).Kind) })
	f.times(in.StartedFrom, in.StartedBefore)
	if in.Cone == nil {
		return nil
	}
	cone, err := newCone(*in.Cone)
	if err != nil {
		return err
	}
	f.tests = append(f.tests, cone.contains)
	if f.keys == nil {
		f.keys = cone.cells()
	}
	return nil
}

// texts takes the values in the order of activityTexts.
func (f *Filter) texts(values []*string) {
	for i, p := range activityTexts {
		if want := folded(values[i]); want != "" {
			f.oneOf(p.name, []string{want}, func(n bff.Node) string { return p.of(n.(*bff.Activity)) })
		}
	}
}

func (f *Filter) times(from, before *time.Time) {
	if from != nil {
		f.tests = append(f.tests, func(n bff.Node) bool { return !n.(*bff.Activity).StartedAt.Before(*from) })
	}
	if before != nil {
		f.tests = append(f.tests, func(n bff.Node) bool { return n.(*bff.Activity).StartedAt.Before(*before) })
	}
}

func (f *Filter) device(in *bff.DeviceFilter) error {
	if in == nil {
		return nil
	}
	if len(in.Kinds) > maxValues || len(in.Presences) > maxValues {
		return tooManyValues()
	}
	want, err := bff.Labels(in.Labels)
	if err != nil || len(want) > maxValues {
		return errs.Invalid("filter.labels", "must be an object of texts")
	}
	if len(want) > 0 {
		f.tests = append(f.tests, func(n bff.Node) bool { return HasLabels(n.(*bff.Device), want) })
		f.keys = keysOf("label", []string{anyLabel(want)})
	}
	f.oneOf("kind", texts(in.Kinds), func(n bff.Node) string { return string(n.(*bff.Device).Kind) })
	f.oneOf("presence", texts(in.Presences), func(n bff.Node) string { return string(n.(*bff.Device).Presence) })
	f.nameContains(in.NameContains, func(n bff.Node) string { return n.(*bff.Device).Name })
	return nil
}

func (f *Filter) job(in *bff.JobFilter) error {
	if in == nil {
		return nil
	}
	if len(in.Kinds) > maxValues || len(in.Statuses) > maxValues {
		return tooManyValues()
	}
	if in.DeviceID != nil && *in.DeviceID != "" {
		f.oneOf("device", []string{*in.DeviceID}, func(n bff.Node) string { return n.(*bff.Job).DeviceID })
	}
	f.oneOf("status", texts(in.Statuses), func(n bff.Node) string { return string(n.(*bff.Job).Status) })
	f.oneOf("kind", in.Kinds, func(n bff.Node) string { return n.(*bff.Job).Kind })
	f.nameContains(in.NameContains, func(n bff.Node) string { return n.(*bff.Job).Name })
	return nil
}

func (f *Filter) nameContains(part *string, of func(bff.Node) string) {
	if want := folded(part); want != "" {
		f.tests = append(f.tests, func(n bff.Node) bool { return strings.Contains(strings.ToLower(of(n)), want) })
	}
}

func tooManyValues() error {
	return errs.Invalid("filter", "a list has more than %d values", maxValues)
}

func texts[S ~string](names []S) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return out
}

// HasLabels tells whether the device has all labels that are wanted.
func HasLabels(d *bff.Device, want map[string]string) bool {
	if len(want) == 0 {
		return true
	}
	for k, v := range want {
		if got, ok := d.Labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// anyLabel is one of the pairs, always the same.
func anyLabel(pairs map[string]string) string {
	first := ""
	for k, v := range pairs {
		if pair := k + "\x00" + v; first == "" || pair < first {
			first = pair
		}
	}
	return first
}

// keysOfEvent are the keys under which a filter that selects the event may be found.
func keysOfEvent(e *bff.Event) []Key {
	return append(keysOfNode(e.Node), Key{"owner", e.Owner})
}

func keysOfNode(n bff.Node) []Key {
	switch n := n.(type) {
	case *bff.Activity:
		return keysOfActivity(n)
	case *bff.Device:
		keys := []Key{{"kind", string(n.Kind)}, {"presence", string(n.Presence)}}
		for k, v := range n.Labels {
			keys = append(keys, Key{"label", k + "\x00" + v})
		}
		return keys
	case *bff.Trip:
		return []Key{{"id", n.ID}}
	case *bff.LogLine:
		return []Key{{"id", n.CommandID}}
	case *bff.Job:
		return []Key{{"device", n.DeviceID}, {"status", string(n.Status)}, {"kind", n.Kind}}
	}
	return nil
}

func keysOfActivity(a *bff.Activity) []Key {
	keys := make([]Key, 0, len(activityTexts)+4)
	keys = append(keys, Key{"kind", string(a.Kind)}, Key{"source", a.Source})
	if a.DeviceID != "" {
		keys = append(keys, Key{"device", a.DeviceID})
	}
	for _, p := range activityTexts {
		if v := p.of(a); v != "" {
			keys = append(keys, Key{p.name, v})
		}
	}
	if at := standard(a.Sky); at != nil {
		keys = append(keys, cellOf(at.RightAscension, at.Declination))
	}
	return keys
}

// standard is the coordinates when they are ICRS, or J2000, which is the same to 0.03 arcseconds:
// only those can be compared with a cone.
func standard(s *bff.SkyCoordinates) *bff.SkyCoordinates {
	if s == nil || (s.Epoch != "J2000" && s.Epoch != "J2000.0" && s.Epoch != "ICRS") {
		return nil
	}
	return s
}

// cone is a circle on the sky. Angles are compared by the haversine, which is exact for small ones.
type cone struct {
	bff.ConeInput
	haversine float64 // of the radius
}

// roundingEdge is how far beyond its edge a cone reaches, in radians, so that rounding leaves out
// nothing that lies on it.
const roundingEdge = 1e-14

func newCone(in bff.ConeInput) (cone, error) {
	switch {
	case !(in.RightAscension >= 0 && in.RightAscension < 360):
		return cone{}, errs.Invalid("filter.cone.rightAscension", "must be at least 0 and below 360 degrees")
	case !(in.Declination >= -90 && in.Declination <= 90):
		return cone{}, errs.Invalid("filter.cone.declination", "must be between -90 and 90 degrees")
	case !(in.Radius > 0 && in.Radius <= 180):
		return cone{}, errs.Invalid("filter.cone.radius", "must be above 0 and at most 180 degrees")
	}
	return cone{ConeInput: in, haversine: haversine(min(math.Pi, radians(in.Radius)+roundingEdge))}, nil
}

func radians(degrees float64) float64 { return degrees * math.Pi / 180 }

func haversine(angle float64) float64 {
	s := math.Sin(angle / 2)
	return s * s
}

func (c cone) contains(n bff.Node) bool {
	at := standard(n.(*bff.Activity).Sky)
	if at == nil {
		return false
	}
	d1, d2 := radians(c.Declination), radians(at.Declination)
	h := haversine(d2-d1) + math.Cos(d1)*math.Cos(d2)*haversine(radians(at.RightAscension-c.RightAscension))
	return h <= c.haversine
}

// The sky in cells for the index: bands of declination, each cut by right ascension.
const (
	cellDegrees = 10
	maxCells    = 36
)

func cellOf(rightAscension, declination float64) Key {
	return cellKey(int(math.Floor(rightAscension/cellDegrees)), int(math.Floor((declination+90)/cellDegrees)))
}

func cellKey(column, row int) Key {
	const columns, rows = 360 / cellDegrees, 180 / cellDegrees
	column = ((column % columns) + columns) % columns
	row = max(0, min(row, rows-1))
	return Key{"sky", string(rune('0'+column)) + string(rune('0'+row))}
}

// cells are those that the cone may reach into; none when they are too many to list.
func (c cone) cells() []Key {
	if math.Abs(c.Declination)+c.Radius >= 89 {
		return nil // a pole is within, or near: every right ascension
	}
	// The widest reach in right ascension of a circle that leaves out the poles.
	reach := math.Asin(math.Min(1, math.Sin(radians(c.Radius))/math.Cos(radians(c.Declination)))) * 180 / math.Pi
	const margin = 1e-6
	floor := func(degrees float64) int { return int(math.Floor(degrees / cellDegrees)) }
	west, east := floor(c.RightAscension-reach-margin), floor(c.RightAscension+reach+margin)
	south, north := floor(c.Declination-c.Radius-margin+90), floor(c.Declination+c.Radius+margin+90)
	if (east-west+1)*(north-south+1) > maxCells || east-west >= 360/cellDegrees-1 {
		return nil
	}
	var keys []Key
	for column := west; column <= east; column++ {
		for row := south; row <= north; row++ {
			if k := cellKey(column, row); !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	return keys
}
