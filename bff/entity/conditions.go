package entity

import (
	"strings"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
)

// property is a value by which the index finds entities.
type property[V any] struct {
	name string
	of   func(V) string
}

// activityTexts are compared without case, as in the activity service.
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

func selectActivities(s *Selection, in *bff.ActivityFilter) error {
	if len(in.Kinds) > maxValues || len(in.Sources) > maxValues {
		return tooManyValues()
	}
	s.texts([]*string{in.Actor, in.Telescope, in.Instrument, in.Programme, in.Observer, in.Target, in.Status})
	if in.DeviceID != nil && *in.DeviceID != "" {
		s.oneOf("device", []string{*in.DeviceID}, func(n bff.Node) string { return n.(*bff.Activity).DeviceID })
	}
	if in.AccountID != nil && *in.AccountID != "" {
		s.oneOf("owner", []string{*in.AccountID}, func(n bff.Node) string { return n.(*bff.Activity).AccountID })
	}
	s.oneOf("source", in.Sources, func(n bff.Node) string { return n.(*bff.Activity).Source })
	s.oneOf("kind", texts(in.Kinds), func(n bff.Node) string { return string(n.(*bff.Activity).Kind) })
	s.times(in.StartedFrom, in.StartedBefore)
	if in.Cone == nil {
		return nil
	}
	cone, err := newCone(*in.Cone)
	if err != nil {
		return err
	}
	s.Conditions = append(s.Conditions, cone.contains)
	if s.Keys == nil {
		s.Keys = cone.cells()
	}
	return nil
}

func (s *Selection) texts(values []*string) {
	for i, p := range activityTexts {
		if want := folded(values[i]); want != "" {
			s.oneOf(p.name, []string{want}, func(n bff.Node) string { return p.of(n.(*bff.Activity)) })
		}
	}
}

func (s *Selection) times(from, before *time.Time) {
	if from != nil {
		s.Conditions = append(s.Conditions, func(n bff.Node) bool { return !n.(*bff.Activity).StartedAt.Before(*from) })
	}
	if before != nil {
		s.Conditions = append(s.Conditions, func(n bff.Node) bool { return n.(*bff.Activity).StartedAt.Before(*before) })
	}
}

func activityKeys(a *bff.Activity) []Key {
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

func selectDevices(s *Selection, in *bff.DeviceFilter) error {
	if len(in.Kinds) > maxValues || len(in.Presences) > maxValues {
		return tooManyValues()
	}
	want, err := bff.Labels(in.Labels)
	if err != nil || len(want) > maxValues {
		return errs.Invalid("filter.labels", "must be an object of texts")
	}
	if len(want) > 0 {
		s.Conditions = append(s.Conditions, func(n bff.Node) bool { return hasLabels(n.(*bff.Device), want) })
		s.Keys = keysOf("label", []string{anyLabel(want)})
	}
	s.oneOf("kind", texts(in.Kinds), func(n bff.Node) string { return string(n.(*bff.Device).Kind) })
	s.oneOf("presence", texts(in.Presences), func(n bff.Node) string { return string(n.(*bff.Device).Presence) })
	s.nameContains(in.NameContains, func(n bff.Node) string { return n.(*bff.Device).Name })
	return nil
}

func anyLabel(pairs map[string]string) string {
	first := ""
	for k, v := range pairs {
		if pair := k + "\x00" + v; first == "" || pair < first {
			first = pair
		}
	}
	return first
}

func deviceKeys(d *bff.Device) []Key {
	keys := []Key{{"kind", string(d.Kind)}, {"presence", string(d.Presence)}}
	for name, value := range d.Labels {
		keys = append(keys, Key{"label", name + "\x00" + value})
	}
	return keys
}

func selectJobs(s *Selection, in *bff.JobFilter) error {
	if len(in.Kinds) > maxValues || len(in.Statuses) > maxValues {
		return tooManyValues()
	}
	if in.DeviceID != nil && *in.DeviceID != "" {
		s.oneOf("device", []string{*in.DeviceID}, func(n bff.Node) string { return n.(*bff.Job).DeviceID })
	}
	s.oneOf("status", texts(in.Statuses), func(n bff.Node) string { return string(n.(*bff.Job).Status) })
	s.oneOf("kind", in.Kinds, func(n bff.Node) string { return n.(*bff.Job).Kind })
	s.nameContains(in.NameContains, func(n bff.Node) string { return n.(*bff.Job).Name })
	return nil
}

func jobKeys(j *bff.Job) []Key {
	return []Key{{"device", j.DeviceID}, {"status", string(j.Status)}, {"kind", j.Kind}}
}
