package activity

import (
	"context"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/internal/page"
)

// maxAnswer is how many bytes of text a list answers with, so that it fits a message even when
// somebody filled it with the largest activities there can be.
const maxAnswer = 8 << 20

// BatchGet gives those of the activities that there are and the caller may see.
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

// List gives a page of the activities that the filter selects and the caller may see, the newest
// start first. It has fewer than asked for, and more behind it, when they are very large.
func (s *Service) List(ctx context.Context, filter Filter, request page.Request) (page.Page[Activity], error) {
	selection, err := s.selection(ctx, filter)
	if err != nil {
		return page.Page[Activity]{}, err
	}
	p, err := s.store.List(ctx, selection, request)
	if err != nil {
		return page.Page[Activity]{}, err
	}
	if n := fitting(p.Items); n < len(p.Items) {
		p.Items, p.Cursors, p.HasNext = p.Items[:n], p.Cursors[:n], true
	}
	return p, nil
}

// SumAmounts adds up the amounts of what the filter selects and the caller may see, and tells how
// many activities have one. Units are not told apart: filter by kind or source.
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

// fitting tells how many of the activities, from the first, fit an answer: at least one.
func fitting(all []Activity) int {
	bytes := 0
	for i, a := range all {
		if bytes += a.weight(); bytes > maxAnswer && i > 0 {
			return i
		}
	}
	return len(all)
}

// weight is about how many bytes the activity takes in a message.
func (a Activity) weight() int {
	const others = 1_000
	bytes := others + len(a.Title) + len(a.Content) + len(a.Data)
	for _, link := range a.Links {
		bytes += len(link.URL) + len(link.Title)
	}
	return bytes
}
