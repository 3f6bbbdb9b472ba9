package activity

import (
	"context"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/internal/page"
)

// maxResponse bounds the bytes of text in a list, so that the response always fits one gRPC message.
const maxResponse = 8 << 20

// BatchGet returns the existing activities that the caller may see.
func (s *Service) BatchGet(ctx context.Context, activityIDs []string) ([]Activity, error) {
	who, err := caller.Require(ctx, caller.ActivityRead)
	if err != nil {
		return nil, err
	}
	known, err := input.IDs("ids", ids.Activity, activityIDs)
	if err != nil || len(known) == 0 {
		return nil, err
	}
	return s.store.Get(ctx, known, entity.Activity.Visibility(who))
}

// List returns a page of the visible activities that match the filter, the newest start first. A page of very large
// activities is shorter than requested.
func (s *Service) List(ctx context.Context, filter Filter, request page.Request) (page.Page[Activity], error) {
	selection, err := s.selection(ctx, filter)
	if err != nil {
		return page.Page[Activity]{}, err
	}
	p, err := s.store.List(ctx, selection, request)
	if err != nil {
		return page.Page[Activity]{}, err
	}
	if n := fitsResponse(p.Items); n < len(p.Items) {
		p.Items, p.Cursors, p.HasNext = p.Items[:n], p.Cursors[:n], true
	}
	return p, nil
}

// SumAmounts returns the sum of the amounts of the visible activities that match the filter, and their number. It
// does not distinguish units: filter by kind or source.
func (s *Service) SumAmounts(ctx context.Context, filter Filter) (sum float64, count int64, err error) {
	selection, err := s.selection(ctx, filter)
	if err != nil {
		return 0, 0, err
	}
	return s.store.Sum(ctx, selection)
}

func (s *Service) selection(ctx context.Context, filter Filter) (Selection, error) {
	who, err := caller.Require(ctx, caller.ActivityRead)
	if err != nil {
		return Selection{}, err
	}
	if err := filter.check(); err != nil {
		return Selection{}, err
	}
	return Selection{Filter: filter, Visible: entity.Activity.Visibility(who)}, nil
}

func fitsResponse(all []Activity) int {
	bytes := 0
	for i, a := range all {
		if bytes += a.weight(); bytes > maxResponse && i > 0 {
			return i
		}
	}
	return len(all)
}

func (a Activity) weight() int {
	const others = 1_000
	bytes := others + len(a.Title) + len(a.Content) + len(a.Data)
	for _, link := range a.Links {
		bytes += len(link.URL) + len(link.Title)
	}
	return bytes
}
