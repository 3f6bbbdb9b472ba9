package cache

import (
	"context"

	"github.com/sluicehq/sluice/bff"
)

// changing is a call of which only the answer tells which device it changed.
func changing[V any](c *Cache, call func(ctx context.Context) (V, error), device func(V) string) func(ctx context.Context) (V, error) {
	return func(ctx context.Context) (V, error) {
		answer, err := call(ctx)
		if err == nil {
			c.versions.release(ctx, "", tagsOf(bff.EntityDevice, device(answer)))
		}
		return answer, err
	}
}

// write makes a write of a kind, which changes the entities of the ids: what is kept of them is not
// believed while it is under way, nor after it. A write that fails may have been done all the same.
// It may change what is of other tags too.
func write[V any](ctx context.Context, c *Cache, method string, ids []string, call func(ctx context.Context) (V, error), also ...string) (V, error) {
	tags := append(tagsOf(c.rows[method].of, ids...), also...)
	writer := newVersion().String()
	c.versions.mark(ctx, writer, tags)
	defer func() {
		c.versions.release(ctx, writer, tags)
		c.metrics.ended(byWrite, len(tags))
	}()
	return call(ctx)
}

func tagsOf(of bff.Entity, ids ...string) []string {
	tags := []string{string(of)}
	for _, id := range ids {
		if id != "" && len(id) <= maxID {
			tags = append(tags, entityTag(of, id))
		}
	}
	return tags
}
