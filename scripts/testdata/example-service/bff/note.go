package bff

import (
	"context"
	"time"
)

// Notes is the port of the note service. GetNotes is a batch read.
type Notes interface {
	AddNote(ctx context.Context, text string) (*Note, error)
	GetNotes(ctx context.Context, ids []string) ([]*Note, error)
}

// Note is a text of an account.
type Note struct {
	ID        string
	AccountID string // of its owner. The schema does not show it
	Text      string
	CreatedAt time.Time
}

// IsNode marks an entity that has an id of its own.
func (*Note) IsNode() {}

// GetID returns the id.
func (n *Note) GetID() string { return n.ID }
