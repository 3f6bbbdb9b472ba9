package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/loaders"
)

// maxNodes is how many ids `nodes` takes.
const maxNodes = 1000

func (queryResolver) Viewer(ctx context.Context) (*bff.Viewer, error) {
	who := caller.FromContext(ctx)
	return &bff.Viewer{AccountID: who.AccountID, APIKeyID: who.APIKeyID, Scopes: who.Scopes, Budget: budgetOf(ctx)}, nil
}

func (queryResolver) Node(ctx context.Context, id string) (bff.Node, error) {
	return node(ctx, id)()
}

func (queryResolver) Nodes(ctx context.Context, many []string) ([]bff.Node, error) {
	if len(many) > maxNodes {
		return nil, errs.Invalid("ids", "are more than %d", maxNodes)
	}
	pending := make([]func() (bff.Node, error), len(many))
	for i, id := range many {
		pending[i] = node(ctx, id)
	}
	return gather(ctx, pending), nil
}

// node asks the loader of the id's kind, and gives what waits for the answer.
func node(ctx context.Context, id string) func() (bff.Node, error) {
	kind, err := ids.Parse(id)
	if err != nil {
		return failed(errs.Invalid("id", "%s", err))
	}
	set := loaders.FromContext(ctx)
	switch kind {
	case ids.Account:
		return asNode(set.Account.LoadThunk(ctx, id))
	case ids.APIKey:
		return asNode(set.APIKey.LoadThunk(ctx, id))
	case ids.Device:
		return asNode(set.Device.LoadThunk(ctx, id))
	case ids.Command:
		return asNode(set.Command.LoadThunk(ctx, id))
	case ids.Trip:
		return asNode(set.Trip.LoadThunk(ctx, id))
	case ids.Job:
		return asNode(set.Job.LoadThunk(ctx, id))
	case ids.Activity:
		return asNode(set.Activity.LoadThunk(ctx, id))
	}
	return failed(errs.Missing("node", id))
}

func failed(err error) func() (bff.Node, error) {
	return func() (bff.Node, error) { return nil, err }
}

func asNode[V bff.Node](wait func() (V, error)) func() (bff.Node, error) {
	return func() (bff.Node, error) {
		v, err := wait()
		if err != nil {
			return nil, err
		}
		return v, nil
	}
}
