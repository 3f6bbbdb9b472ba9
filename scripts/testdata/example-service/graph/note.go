package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/entity"
)

func (r mutationResolver) AddNote(ctx context.Context, text string) (*bff.Note, error) {
	return r.Notes.AddNote(ctx, text)
}

func (subscriptionResolver) NoteAdded(ctx context.Context) (<-chan *bff.Note, error) {
	return feed[*bff.Note](ctx, bff.Topic{Entity: entity.Note})
}
