package cache

import (
	"context"

	"github.com/sluicehq/sluice/bff/cache/policy"
	"github.com/sluicehq/sluice/bff/cache/versions"
	"github.com/sluicehq/sluice/internal/entity"
)

// write executes a write to the entities of the ids. It invalidates their entries, those of their kind, and those of
// the extra tags, before and after the write, and also after an error, because a failed write may have changed them.
func write[V any](ctx context.Context, c *Cache, method string, ids []string, call func(ctx context.Context) (V, error), extraTags ...string) (V, error) {
	tags := append(policy.Tags(c.rules[method].Kind, ids...), extraTags...)
	writer := versions.NewWriter()
	c.versions.Mark(ctx, writer, tags)
	defer func() {
		c.versions.Release(ctx, writer, tags)
		c.versionMetrics.CountInvalidations(versions.SourceWrite, len(tags))
	}()
	return call(ctx)
}

// invalidatingDevice wraps a write whose response names the changed device.
func invalidatingDevice[V any](c *Cache, call func(ctx context.Context) (V, error), deviceID func(V) string) func(ctx context.Context) (V, error) {
	return func(ctx context.Context) (V, error) {
		response, err := call(ctx)
		if err == nil {
			c.versions.Release(ctx, "", policy.Tags(entity.Device, deviceID(response)))
		}
		return response, err
	}
}
