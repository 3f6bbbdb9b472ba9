// Package entity describes each entity once for the gateway: how its events are decoded, the facts that decide who
// sees it, its keys in the index of subscriptions, the filters of subscriptions, and the caching of each method of
// its port. It is the gateway's half of internal/entity. Events without a row, or whose row has no view, reach no
// subscription.
package entity

import (
	"fmt"
	"slices"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/internal/entity"
)

// Row describes one entity.
type Row struct {
	Kind    entity.Kind
	Methods []Method // of its port; for the cache

	// These are nil for an entity without events for subscribers.
	decode func(payload []byte) (bff.Node, error) // nil for a deleted entity
	facts  func(bff.Node) entity.Facts
	keys   func(bff.Node) []Key
	filter func(s *Selection, filter any) error // nil for topics without a filter
}

// rows is never written.
var rows = []Row{
	{Kind: entity.Account, Methods: accountMethods},
	row(entity.Device, rpc.DecodeDevice, deviceFacts, deviceKeys, filtered(selectDevices), deviceMethods...),
	row(entity.LogLine, rpc.DecodeLogLine, logLineFacts, nil, nil),
	row(entity.Trip, rpc.DecodeTrip, tripFacts, nil, nil, tripMethods...),
	row(entity.Job, rpc.DecodeJob, jobFacts, jobKeys, filtered(selectJobs), jobMethods...),
	row(entity.Activity, rpc.DecodeActivity, activityFacts, activityKeys, filtered(selectActivities), activityMethods...),
}

// Rows returns all rows.
func Rows() []Row { return slices.Clone(rows) }

// byKind finds rows by kind. It is never written.
var byKind = func() map[entity.Kind]*Row {
	found := make(map[entity.Kind]*Row, len(rows))
	for i := range rows {
		found[rows[i].Kind] = &rows[i]
	}
	return found
}()

// view is a pointer to the view of an entity.
type view[V any] interface {
	*V
	bff.Node
}

// row creates a row from functions of the entity's view; keys may be nil.
func row[V any, P view[V]](kind entity.Kind, decode func([]byte) (P, error), facts func(P) entity.Facts, keys func(P) []Key, filter func(*Selection, any) error, methods ...Method) Row {
	r := Row{
		Kind: kind, Methods: methods, filter: filter,
		decode: func(payload []byte) (bff.Node, error) {
			v, err := decode(payload)
			if err != nil || v == nil {
				return nil, err
			}
			return v, nil
		},
		facts: func(n bff.Node) entity.Facts { return facts(n.(P)) },
		keys:  func(bff.Node) []Key { return nil },
	}
	if keys != nil {
		r.keys = func(n bff.Node) []Key { return keys(n.(P)) }
	}
	return r
}

// filtered creates the filter of a row. A topic without a filter selects all.
func filtered[F any](compile func(*Selection, *F) error) func(*Selection, any) error {
	return func(s *Selection, filter any) error {
		if in, ok := filter.(*F); ok && in != nil {
			return compile(s, in)
		}
		return nil
	}
}

// Decode decodes the payload of an event into its view and facts. An event without a row, or of a deleted entity, has
// neither.
func Decode(e *bff.Event, payload []byte) error {
	r := byKind[e.Entity]
	if r == nil || r.decode == nil {
		return nil
	}
	node, err := r.decode(payload)
	if err != nil {
		return fmt.Errorf("decode the event of %s %s: %w", e.Entity, e.ID, err)
	}
	if node != nil {
		e.Node, e.Facts = node, r.facts(node)
	}
	return nil
}

// FactsOf returns the facts that the visibility of a view depends on; none without a row.
func FactsOf(kind entity.Kind, node bff.Node) entity.Facts {
	if r := byKind[kind]; r != nil && r.facts != nil && node != nil {
		return r.facts(node)
	}
	return entity.Facts{}
}

// KeysOf returns the index keys of the event.
func KeysOf(e *bff.Event) []Key {
	r := byKind[e.Entity]
	if r == nil || r.keys == nil || e.Node == nil {
		return nil
	}
	return append(r.keys(e.Node), Key{"id", e.Node.GetID()}, Key{"owner", e.Facts.Owner})
}

func activityFacts(a *bff.Activity) entity.Facts {
	return entity.Facts{Owner: a.AccountID, Public: a.AccountID == ""}
}

func deviceFacts(d *bff.Device) entity.Facts {
	return entity.Facts{Kind: string(d.Kind), Labels: d.Labels, Audience: d.Audience}
}

// logLineFacts has no labels, because a line lacks those of its device: a limited caller sees none.
func logLineFacts(*bff.LogLine) entity.Facts { return entity.Facts{} }

func tripFacts(t *bff.Trip) entity.Facts { return entity.Facts{Owner: t.AccountID} }

func jobFacts(j *bff.Job) entity.Facts { return entity.Facts{Owner: j.CreatedBy} }
