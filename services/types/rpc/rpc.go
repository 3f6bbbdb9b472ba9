// Package rpc turns the messages that all contracts share (sluice.types.v1) into what services speak
// of, and back: pages and times.
//
// It belongs to no service and knows none. What a message cannot mean is INVALID_ARGUMENT.
package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/page"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

// PageRequest reads a request for a page; none asks for the first.
func PageRequest(m *typesv1.PageRequest) page.Request {
	return page.Request{First: int(m.GetFirst()), After: m.GetAfter(), WithTotal: m.GetWithTotal()}
}

// PageInfo writes what there is to know of a page beside its items.
func PageInfo[T any](p page.Page[T]) *typesv1.PageInfo {
	return &typesv1.PageInfo{Cursors: p.Cursors, HasNext: p.HasNext, Total: p.Total}
}

// Each writes a message for each of the items.
func Each[T, M any](items []T, message func(T) M) []M {
	all := make([]M, len(items))
	for i, item := range items {
		all[i] = message(item)
	}
	return all
}

// Timestamp writes a time that may be missing.
func Timestamp(at *time.Time) *timestamppb.Timestamp {
	if at == nil {
		return nil
	}
	return timestamppb.New(*at)
}

// Time reads a time that must be there.
func Time(field string, m *timestamppb.Timestamp) (time.Time, error) {
	if m == nil {
		return time.Time{}, errs.Invalid(field, "is missing")
	}
	if m.CheckValid() != nil {
		return time.Time{}, errs.Invalid(field, "is not a time")
	}
	return m.AsTime(), nil
}

// OptionalTime reads a time that may be missing.
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
