package bff

import (
	"time"

	"github.com/sluicehq/sluice/internal/entity"
)

// Event is a change of an entity, with the committed entity.
type Event struct {
	Sequence uint64 // in the stream of events, from 1
	At       time.Time
	Entity   entity.Kind
	Change   string       // "added", "changed", ...
	ID       string       // of the entity
	Node     Node         // the view; nil for a deleted entity or without a view
	Facts    entity.Facts // of the view
}

// Topic is what a subscription follows: the events of a kind that its id and its filter select.
type Topic struct {
	Entity entity.Kind
	ID     string // of the entity, or of the command for a log line; "" for all
	Change string // of the events; "" for every change
	Filter any    // such as *ActivityFilter; nil for none. bff/entity compiles it
}
