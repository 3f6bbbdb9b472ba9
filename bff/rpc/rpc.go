// Package rpc implements the ports of bff over gRPC. It is the last package of the gateway that knows protobuf. There
// is one file per service: the calls first, the conversion of messages below. internal/rpc has decoded errors, which
// are returned unchanged.
package rpc

import (
	"encoding/json"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/bff"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

// each converts every message to a view.
func each[M, V any](messages []M, view func(M) V) []V {
	views := make([]V, len(messages))
	for i, m := range messages {
		views[i] = view(m)
	}
	return views
}

// one converts the reply of a call to a view; an error is returned unchanged.
func one[M, V any](view func(M) *V) func(message M, err error) (*V, error) {
	return func(message M, err error) (*V, error) {
		if err != nil {
			return nil, err
		}
		return view(message), nil
	}
}

func pageRequest(p bff.PageRequest) *typesv1.PageRequest {
	return &typesv1.PageRequest{First: int32(min(p.First, 1<<30)), After: p.After, WithTotal: p.WithTotal}
}

func page[M, V any](messages []M, info *typesv1.PageInfo, view func(M) *V) bff.Page[V] {
	p := bff.Page[V]{Items: each(messages, view), Cursors: info.GetCursors(), HasNext: info.GetHasNext()}
	if info != nil && info.Total != nil {
		total := int(info.GetTotal())
		p.Total = &total
	}
	return p
}

func timestamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

func optionalTime(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}

// optionalText returns nil for "", because protobuf strings have no null.
func optionalText(s string) *string {
	if s == "" {
		return nil
	}
	value := s // the address of s would allocate for the empty string too
	return &value
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func optionalJSON(s string) bff.JSON {
	if s == "" {
		return nil
	}
	return bff.JSON(s)
}

// enum removes the prefix of a protobuf name: KIND_CAMERA is CAMERA.
func enum[E ~string](name, prefix string) E { return E(strings.TrimPrefix(name, prefix)) }

// enumValue returns the number of a name of the schema; 0 is UNSPECIFIED.
func enumValue[E ~int32](values map[string]int32, prefix, name string) E {
	return E(values[prefix+name])
}

func enumValues[E ~int32, N ~string](values map[string]int32, prefix string, names []N) []E {
	return each(names, func(name N) E { return enumValue[E](values, prefix, string(name)) })
}

func version(v *int) *int64 {
	if v == nil {
		return nil
	}
	wide := int64(*v)
	return &wide
}

func number(i *int) *int32 {
	if i == nil {
		return nil
	}
	narrow := int32(*i)
	return &narrow
}

func position(p *typesv1.Position) *bff.Position {
	if p == nil {
		return nil
	}
	return &bff.Position{
		Latitude: p.GetLatitude(), Longitude: p.GetLongitude(), At: p.GetAt().AsTime(),
		Accuracy: p.Accuracy, Place: optionalText(p.GetPlace()), Counted: p.GetCounted(),
	}
}

// positionMessage encodes a position. Without a time the service uses its own clock.
func positionMessage(p *bff.PositionInput) *typesv1.Position {
	if p == nil {
		return nil
	}
	return &typesv1.Position{
		Latitude: p.Latitude, Longitude: p.Longitude, At: timestamp(p.At), Accuracy: p.Accuracy, Place: text(p.Place),
	}
}

// nonNil returns an empty map for nil: protobuf does not distinguish them, GraphQL does.
func nonNil(labels map[string]string) map[string]string {
	if labels == nil {
		return map[string]string{}
	}
	return labels
}

func labelsJSON(labels map[string]string) bff.JSON {
	if len(labels) == 0 {
		return bff.JSON("{}")
	}
	encoded, err := json.Marshal(labels)
	if err != nil {
		return bff.JSON("{}") // strings always encode
	}
	return encoded
}
