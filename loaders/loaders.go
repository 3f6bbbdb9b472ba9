// Package loaders has the batch functions of references: keys in, one value and one error a key out. A
// file holds those of one entity, and package graph names them in its table of references.
//
// A batch function calls a service once for all keys with the same arguments. When that call
// fails, its error is the error of every key; an entity that the service leaves out is NOT_FOUND.
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

// Batch loads many keys in one call. It returns one value and one error for each key, in the order of
// the keys. The errors are nil when no key failed.
type Batch[K comparable, V any] func(ctx context.Context, keys []K) ([]V, []error)

// byID returns the batch function of an entity with an id. An id that the service leaves out is NOT_FOUND.
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

// optional returns the batch function of what an entity may have one of. An id that the service leaves
// out has none: its value is nil.
func optional[V any](get func(ctx context.Context, ids []string) (map[string]*V, error)) Batch[string, *V] {
	split := func(id string) (string, struct{}) { return id, struct{}{} }
	return grouped(split, func(ctx context.Context, ids []string, _ struct{}) (map[string]*V, error) { return get(ctx, ids) })
}

// grouped returns the batch function of keys that are an id with arguments. It calls the service once for
// each combination of arguments, which is once for each field of a query.
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
