package cache

import (
	"context"

	"github.com/sluicehq/sluice/bff"
)

// notes passes all calls on: its rows in the table say why.
type notes struct{ bff.Notes }

// Notes returns the port as the cache sees it.
func (*Cache) Notes(port bff.Notes) bff.Notes { return notes{port} }

func (n notes) GetNotes(ctx context.Context, ids []string) ([]*bff.Note, error) {
	bff.ReadsOf(ctx).NoteUncacheable("Notes.GetNotes")
	return n.Notes.GetNotes(ctx, ids)
}
