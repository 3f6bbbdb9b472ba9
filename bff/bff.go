// Package bff is what the gateway knows: the views that the API shows, and the ports through which
// resolvers ask for them.
//
// Views carry the schema's names and no protobuf; ports are implemented by bff/rpc and wrapped by
// what guards and caches. Every port acts on behalf of the caller in its context (internal/caller)
// and answers with *errs.Error. Batch reads leave out what there is not, or what the caller may not
// see: the two are the same to a caller.
package bff

import (
	"encoding/json"
	"strings"
	"time"
)

// ServiceName names a service in responses: its name in internal/catalog, in upper case.
type ServiceName string

// ServiceNameOf returns the name that responses have for a service of internal/catalog.
func ServiceNameOf(service string) ServiceName { return ServiceName(strings.ToUpper(service)) }

// JSON is one JSON value, as text.
type JSON = json.RawMessage

// Node is whatever has an id of its own.
type Node interface {
	IsNode()
	GetID() string
}

// PageRequest asks for a page of a list.
type PageRequest struct {
	First     int    // how many at most; 0 means 20
	After     string // the cursor of the item before the page
	WithTotal bool   // count all items too
}

// Page is a stretch of a list.
type Page[T any] struct {
	Items   []*T
	Cursors []string // one an item
	HasNext bool
	Total   *int // only when asked for
}

// Position is a place on Earth at a time: degrees in WGS 84.
type Position struct {
	Latitude  float64
	Longitude float64
	At        time.Time
	Accuracy  *float64 // metres
	Place     *string
	Counted   bool // in a track: whether it counts for the distance
}

// PositionInput is a place as a caller reports it.
type PositionInput struct {
	Latitude  float64    `json:"latitude"`
	Longitude float64    `json:"longitude"`
	At        *time.Time `json:"at"` // now, when left out
	Accuracy  *float64   `json:"accuracy"`
	Place     *string    `json:"place"`
}
