package app

import (
	"context"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/services/note"
	noterpc "github.com/sluicehq/sluice/services/note/rpc"
	notestore "github.com/sluicehq/sluice/services/note/store"
)

func openNote(ctx context.Context, w *wiring, _ connector) (*opened, error) {
	db, err := w.openStore(ctx, catalog.Note, notestore.Migrations())
	if err != nil {
		return nil, err
	}
	service := note.New(notestore.New(db, noterpc.Encode), w.clock)
	return &opened{name: catalog.Note, db: db, register: func(r grpc.ServiceRegistrar) { noterpc.Register(r, service) }}, nil
}
