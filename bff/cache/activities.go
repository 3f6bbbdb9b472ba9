package cache

import (
	"context"

	"github.com/sluicehq/sluice/bff"
)

// activities is a cached port. Embedded methods bypass the cache.
type activities struct {
	bff.Activities
	cache  *Cache
	get    *read[*bff.Activity]
	list   *read[bff.Page[bff.Activity]]
	report *read[*bff.HydrationReport]

	listArgs   arguments[activityListArgs]
	reportArgs arguments[bff.HydrationQuery]
}

type activityListArgs struct {
	Filter *bff.ActivityFilter
	Page   bff.PageRequest
}

// Activities wraps the port in the cache.
func (c *Cache) Activities(port bff.Activities) bff.Activities {
	return activities{
		Activities: port, cache: c,
		get:      newRead[*bff.Activity](c, "Activities.GetActivities", true, nil),
		list:     newRead[bff.Page[bff.Activity]](c, "Activities.ListActivities", false, nil),
		report:   newRead[*bff.HydrationReport](c, "Activities.ReportHydration", false, nil),
		listArgs: newArguments[activityListArgs](), reportArgs: newArguments[bff.HydrationQuery](),
	}
}

func (a activities) GetActivities(ctx context.Context, ids []string) ([]*bff.Activity, error) {
	found, err := a.get.get(ctx, "", ids, func(ctx context.Context, ids []string) (map[string]*bff.Activity, error) {
		return byID(a.Activities.GetActivities(ctx, ids))
	})
	return inOrder(ids, found, err)
}

func (a activities) ListActivities(ctx context.Context, filter *bff.ActivityFilter, page bff.PageRequest) (bff.Page[bff.Activity], error) {
	return getSingle(ctx, a.list, a.listArgs.key(activityListArgs{filter, page}), func(ctx context.Context) (bff.Page[bff.Activity], error) {
		return a.Activities.ListActivities(ctx, filter, page)
	})
}

func (a activities) ReportHydration(ctx context.Context, query bff.HydrationQuery) (*bff.HydrationReport, error) {
	return getSingle(ctx, a.report, a.reportArgs.key(query), func(ctx context.Context) (*bff.HydrationReport, error) {
		return a.Activities.ReportHydration(ctx, query)
	})
}

func (a activities) RecordActivity(ctx context.Context, input bff.RecordActivityInput) (*bff.Activity, error) {
	return write(ctx, a.cache, "Activities.RecordActivity", nil, func(ctx context.Context) (*bff.Activity, error) {
		return a.Activities.RecordActivity(ctx, input)
	})
}

func (a activities) UpdateActivity(ctx context.Context, input bff.UpdateActivityInput) (*bff.Activity, error) {
	return write(ctx, a.cache, "Activities.UpdateActivity", []string{input.ID}, func(ctx context.Context) (*bff.Activity, error) {
		return a.Activities.UpdateActivity(ctx, input)
	})
}

func (a activities) DeleteActivity(ctx context.Context, id string, expectedVersion *int) error {
	_, err := write(ctx, a.cache, "Activities.DeleteActivity", []string{id}, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, a.Activities.DeleteActivity(ctx, id, expectedVersion)
	})
	return err
}

func (a activities) ListRevisions(ctx context.Context, id string) ([]*bff.ActivityRevision, error) {
	bff.ReadsOf(ctx).NoteUncacheable("Activities.ListRevisions")
	return a.Activities.ListRevisions(ctx, id)
}
