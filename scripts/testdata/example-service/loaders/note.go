package loaders

import (
	"context"

	"github.com/sluicehq/sluice/bff"
)

// Notes loads notes by id.
func Notes(p Ports) Batch[string, *bff.Note] {
	return byID("note", func(ctx context.Context, ids []string) ([]*bff.Note, error) { return p.Notes.GetNotes(ctx, ids) })
}
