// Package note keeps short texts for accounts.
//
// A Note belongs to one account and never changes. Only its account and staff see it. A use case that fails has
// changed nothing.
package note

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

// The scopes; internal/catalog states the roles that have them.
const (
	Read  = "note:read"
	Write = "note:write"
)

const maxText = 1_000 // characters

// Note is a text of an account.
type Note struct {
	ID        string
	AccountID string
	Text      string
	CreatedAt time.Time
}

// Facts returns what the visibility of the note depends on.
func (n Note) Facts() entity.Facts { return entity.Facts{Owner: n.AccountID} }

// Store stores notes. Each write is one transaction with its event, and durable when the method returns nil.
type Store interface {
	Create(ctx context.Context, n Note) error
	// Get returns the visible notes among the ids, in any order.
	Get(ctx context.Context, noteIDs []string, visible entity.Visibility) ([]Note, error)
}

// Service is the use cases. It is safe for concurrent use.
type Service struct {
	store Store
	clock clock.Clock
}

// New returns the use cases over a store.
func New(store Store, clock clock.Clock) *Service { return &Service{store: store, clock: clock} }

// Add adds a note of the caller's account.
func (s *Service) Add(ctx context.Context, text string) (Note, error) {
	who, err := caller.Require(ctx, Write)
	if err != nil {
		return Note{}, err
	}
	if who.AccountID == "" {
		return Note{}, errs.Denied("a note belongs to an account, and this caller has none")
	}
	if err := input.Text("text", text, maxText); err != nil {
		return Note{}, err
	}
	n := Note{ID: ids.New(ids.Kind(entity.Note)), AccountID: who.AccountID, Text: text, CreatedAt: s.clock.Now()}
	return n, s.store.Create(ctx, n)
}

// BatchGet returns the notes of the ids that the caller sees, in any order.
func (s *Service) BatchGet(ctx context.Context, noteIDs []string) ([]Note, error) {
	who, err := caller.Require(ctx, Read)
	if err != nil {
		return nil, err
	}
	known, err := input.IDs("ids", ids.Kind(entity.Note), noteIDs)
	if err != nil || len(known) == 0 {
		return nil, err
	}
	return s.store.Get(ctx, known, entity.Note.Visibility(who))
}
