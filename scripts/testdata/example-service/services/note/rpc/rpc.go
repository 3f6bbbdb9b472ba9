// Package rpc serves the contract of the note service (services/proto/note/v1).
//
// It decodes requests for the use cases and encodes notes. It refuses nothing itself.
package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	notev1 "github.com/sluicehq/sluice/services/gen/note/v1"
	"github.com/sluicehq/sluice/services/note"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

// Register serves the use cases as sluice.note.v1.Notes.
func Register(r grpc.ServiceRegistrar, s *note.Service) {
	notev1.RegisterNotesServer(r, server{service: s})
}

// Encode encodes a note as the payload of its events.
func Encode(n note.Note) ([]byte, error) { return proto.Marshal(message(n)) }

type server struct {
	notev1.UnimplementedNotesServer
	service *note.Service
}

func (s server) AddNote(ctx context.Context, r *notev1.AddNoteRequest) (*notev1.Note, error) {
	n, err := s.service.Add(ctx, r.GetText())
	if err != nil {
		return nil, err
	}
	return message(n), nil
}

func (s server) BatchGetNotes(ctx context.Context, r *notev1.BatchGetNotesRequest) (*notev1.BatchGetNotesResponse, error) {
	notes, err := s.service.BatchGet(ctx, r.GetIds())
	if err != nil {
		return nil, err
	}
	return &notev1.BatchGetNotesResponse{Notes: types.Each(notes, message)}, nil
}

func message(n note.Note) *notev1.Note {
	return &notev1.Note{Id: n.ID, AccountId: n.AccountID, Text: n.Text, CreatedAt: timestamppb.New(n.CreatedAt)}
}
