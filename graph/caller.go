package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
)

func (r queryResolver) Callers(ctx context.Context, window *bff.CallWindow) ([]*bff.CallerUsage, error) {
	if r.Abuse == nil {
		return []*bff.CallerUsage{}, nil
	}
	span := bff.LastHour
	if window != nil {
		span = *window
	}
	usage, err := r.Abuse.Usage(ctx, span)
	return nonNil(usage), err
}

func (r mutationResolver) ReleaseCaller(ctx context.Context, name string) (*bff.CallerUsage, error) {
	if r.Abuse == nil {
		return nil, errs.Missing("caller", name)
	}
	return r.Abuse.Release(ctx, name)
}
