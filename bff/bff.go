// Package bff has the views that the API shows, and the ports that resolvers call. Views have the names of the schema
// and no protobuf. bff/rpc implements the ports; bff/guard and bff/cache wrap them. A call acts for the caller in its
// context (internal/caller), and an error is an *errs.Error. A batch read omits ids that do not exist or that the
// caller does not see.
package bff

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// ServiceName names a service in responses: its name in internal/catalog, in upper case.
type ServiceName string

// ServiceNameOf returns the ServiceName of a service of internal/catalog.
func ServiceNameOf(service string) ServiceName { return ServiceName(strings.ToUpper(service)) }

// JSON is one JSON value, as text.
type JSON = json.RawMessage

// Node is an entity with an id.
type Node interface {
	IsNode()
	GetID() string
}

// PageRequest requests one page of a list.
type PageRequest struct {
	First     int    // maximum items; 0 means 20
	After     string // a cursor; "" for the first page
	WithTotal bool   // count all items too
}

// Page is one page of a list.
type Page[T any] struct {
	Items   []*T
	Cursors []string // one for each item
	HasNext bool
	Total   *int // nil unless the request has WithTotal
}

// HasEmptyList reports whether a list of the filter (a pointer to a struct) is empty and not nil, which matches
// nothing.
func HasEmptyList(filter any) bool {
	v := reflect.Indirect(reflect.ValueOf(filter))
	if !v.IsValid() {
		return false
	}
	for _, field := range v.Fields() {
		if field.Kind() == reflect.Slice && field.Type().Elem().Kind() != reflect.Uint8 && !field.IsNil() && field.Len() == 0 {
			return true
		}
	}
	return false
}

// Position is a position on Earth at a time: degrees in WGS 84.
type Position struct {
	Latitude  float64
	Longitude float64
	At        time.Time
	Accuracy  *float64 // metres
	Place     *string
	Counted   bool // in a track: the distance includes it
}

// PositionInput is the input of a position.
type PositionInput struct {
	Latitude  float64    `json:"latitude"`
	Longitude float64    `json:"longitude"`
	At        *time.Time `json:"at"` // nil means now
	Accuracy  *float64   `json:"accuracy"`
	Place     *string    `json:"place"`
}
