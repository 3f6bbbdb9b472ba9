// Package loaders has the batch functions of references, a file per entity: keys in, one value and one error per key
// out. A batch function calls a service once for all keys with the same arguments. An error of that call is the error
// of every key; an entity that the service omits is NOT_FOUND.
package loaders

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
)

// MaxBatch is the largest number of keys that services accept in one call.
const MaxBatch = 1000

// Ports are the services that batch functions call.
type Ports = bff.Ports

// Batch loads many keys in one call. It returns one value and one error per key, in order; nil errors if no key
// failed.
type Batch[K comparable, V any] func(ctx context.Context, keys []K) ([]V, []error)

// byID returns the batch function of an entity with an id. A missing id is NOT_FOUND.
func byID[V bff.Node](kind string, get func(ctx context.Context, ids []string) ([]V, error)) Batch[string, V] {
	return func(ctx context.Context, ids []string) ([]V, []error) {
		values, failures := make([]V, len(ids)), make([]error, len(ids))
		entities, err := get(ctx, ids)
		found := make(map[string]V, len(entities))
		for _, v := range entities {
			found[v.GetID()] = v
		}
		for i, id := range ids {
			v, ok := found[id]
			switch {
			case err != nil:
				failures[i] = err
			case !ok:
				failures[i] = errs.Missing(kind, id)
			}
			values[i] = v
		}
		return values, failures
	}
}

// optional returns the batch function of an optional entity. The value of a missing id is nil.
func optional[V any](get func(ctx context.Context, ids []string) (map[string]*V, error)) Batch[string, *V] {
	split := func(id string) (string, struct{}) { return id, struct{}{} }
	return grouped(split, func(ctx context.Context, ids []string, _ struct{}) (map[string]*V, error) { return get(ctx, ids) })
}

// grouped returns the batch function of keys that are an id with arguments. It calls the service once for each
// combination of arguments.
func grouped[K, A comparable, V any](split func(K) (id string, args A), get func(ctx context.Context, ids []string, args A) (map[string]V, error)) Batch[K, V] {
	return func(ctx context.Context, keys []K) ([]V, []error) {
		values, failures := make([]V, len(keys)), make([]error, len(keys))
		idsByArgs, indices := map[A][]string{}, map[A][]int{}
		for i, key := range keys {
			id, args := split(key)
			idsByArgs[args], indices[args] = append(idsByArgs[args], id), append(indices[args], i)
		}
		for args, ids := range idsByArgs {
			found, err := get(ctx, ids, args)
			for i, at := range indices[args] {
				values[at], failures[at] = found[ids[i]], err
			}
		}
		return values, failures
	}
}

// PageKey selects a page of a list of an entity.
type PageKey struct {
	ID   string
	Page bff.PageRequest
}

func splitPage(k PageKey) (string, bff.PageRequest) { return k.ID, k.Page }
