// Package rpc converts the messages that all contracts share (sluice.types.v1): pages and times.
//
// It belongs to no service and imports none. A message that has no valid meaning is INVALID_ARGUMENT, with the name
// of its field.
package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/page"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

// PageRequest decodes the request of a page. A missing one requests the first page.
func PageRequest(m *typesv1.PageRequest) page.Request {
	return page.Request{First: int(m.GetFirst()), After: m.GetAfter(), WithTotal: m.GetWithTotal()}
}

// PageInfo encodes the facts of a page besides its items.
func PageInfo[T any](p page.Page[T]) *typesv1.PageInfo {
	return &typesv1.PageInfo{Cursors: p.Cursors, HasNext: p.HasNext, Total: p.Total}
}

// Each encodes each item as a message.
func Each[T, M any](items []T, message func(T) M) []M {
	all := make([]M, len(items))
	for i, item := range items {
		all[i] = message(item)
	}
	return all
}

// Reply encodes the result of a use case, unless it failed.
func Reply[T, M any](result T, err error, message func(T) *M) (*M, error) {
	if err != nil {
		return nil, err
	}
	return message(result), nil
}

// Timestamp encodes an optional time.
func Timestamp(at *time.Time) *timestamppb.Timestamp {
	if at == nil {
		return nil
	}
	return timestamppb.New(*at)
}

// Time decodes a required time.
func Time(field string, m *timestamppb.Timestamp) (time.Time, error) {
	if m == nil {
		return time.Time{}, errs.Invalid(field, "is missing")
	}
	if m.CheckValid() != nil {
		return time.Time{}, errs.Invalid(field, "is not a time")
	}
	return m.AsTime(), nil
}

// OptionalTime decodes an optional time.
func OptionalTime(field string, m *timestamppb.Timestamp) (*time.Time, error) {
	if m == nil {
		return nil, nil
	}
	at, err := Time(field, m)
	if err != nil {
		return nil, err
	}
	return &at, nil
}
