package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff"
	notev1 "github.com/sluicehq/sluice/services/gen/note/v1"
)

// Notes calls the note service.
type Notes struct{ client notev1.NotesClient }

var _ bff.Notes = Notes{}

// NewNotes returns the port over a connection.
func NewNotes(conn grpc.ClientConnInterface) Notes { return Notes{client: notev1.NewNotesClient(conn)} }

// AddNote adds a note of the caller's account.
func (n Notes) AddNote(ctx context.Context, text string) (*bff.Note, error) {
	m, err := n.client.AddNote(ctx, &notev1.AddNoteRequest{Text: text})
	if err != nil {
		return nil, err
	}
	return note(m), nil
}

// GetNotes returns the notes of the ids that the caller sees.
func (n Notes) GetNotes(ctx context.Context, ids []string) ([]*bff.Note, error) {
	m, err := n.client.BatchGetNotes(ctx, &notev1.BatchGetNotesRequest{Ids: ids})
	if err != nil {
		return nil, err
	}
	return each(m.GetNotes(), note), nil
}

// DecodeNote decodes the payload of an event of a note.
func DecodeNote(payload []byte) (*bff.Note, error) { return decode(&notev1.Note{}, payload, note) }

func note(m *notev1.Note) *bff.Note {
	return &bff.Note{ID: m.GetId(), AccountID: m.GetAccountId(), Text: m.GetText(), CreatedAt: m.GetCreatedAt().AsTime()}
}
