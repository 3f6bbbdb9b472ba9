// Package persisted keeps the documents that can be asked for without their text: trusted ones, which are
// there from the start, and persisted ones, which clients register as they go (Apollo's automatic
// persisted queries, https://www.apollographql.com/docs/apollo-server/performance/apq).
//
// It promises that a hash leads to the text that has it, whatever a shared store may say; that what is
// registered is bounded; and that, where only trusted documents are allowed, nothing else gets through.
package persisted

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// Store keeps texts by their hash. It may forget any of them at any time.
type Store interface {
	Get(ctx context.Context, hash string) (text string, found bool)
	Put(ctx context.Context, hash, text string)
}

// Options are what a library needs.
type Options struct {
	Trusted     map[string]string // texts by id
	OnlyTrusted bool              // for API keys, and for those who have not signed in
	Persisted   Store             // nil: nothing can be registered
	ByAnyone    bool              // whoever has not signed in may register too
}

// Library finds documents.
type Library struct {
	options Options
	ids     map[string]string // of trusted documents, by the hash of their text
}

var _ bff.Documents = (*Library)(nil)

// New opens a library.
func New(options Options) *Library {
	l := &Library{options: options, ids: make(map[string]string, len(options.Trusted))}
	for id, text := range options.Trusted {
		l.ids[Hash(text)] = id
	}
	return l
}

// Hash is the SHA-256 of the text, in hex.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Find is bff.Documents.
func (l *Library) Find(ctx context.Context, name bff.DocumentName) (bff.Document, error) {
	id, hash := name.ID, strings.ToLower(name.Hash)
	if after, ok := strings.CutPrefix(id, "sha256:"); ok {
		id, hash = "", strings.ToLower(after)
	}
	if document, found := l.trusted(id, hash, name.Text); found {
		if name.Text != "" && name.Text != document.Text {
			return bff.Document{}, mismatch()
		}
		return document, nil
	}
	if who := caller.FromContext(ctx); l.options.OnlyTrusted && (!who.Known() || who.APIKeyID != "") {
		return bff.Document{}, errs.New(errs.PermissionDenied, "DOCUMENT_NOT_TRUSTED",
			"only documents that are known beforehand are run here for API keys and for those who have not signed in")
	}
	switch {
	case id == "" && hash == "":
		return bff.Document{Text: name.Text}, nil
	case hash == "":
		return bff.Document{}, notFound()
	}
	return l.persisted(ctx, hash, name.Text)
}

// trusted looks for a document by whatever is told of it.
func (l *Library) trusted(id, hash, text string) (bff.Document, bool) {
	if len(l.options.Trusted) == 0 {
		return bff.Document{}, false
	}
	if id == "" && hash == "" {
		hash = Hash(text)
	}
	for _, id := range []string{id, hash, l.ids[hash]} {
		if text, found := l.options.Trusted[id]; found {
			return bff.Document{Text: text, ID: id, Trusted: true}, true
		}
	}
	return bff.Document{}, false
}

func (l *Library) persisted(ctx context.Context, hash, text string) (bff.Document, error) {
	if l.options.Persisted == nil {
		return bff.Document{}, errs.New(errs.PersistedQueryNotSupported, "PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
	}
	if text != "" {
		if Hash(text) != hash {
			return bff.Document{}, mismatch()
		}
		return bff.Document{Text: text, ID: hash, Fresh: true}, nil
	}
	text, found := l.options.Persisted.Get(ctx, hash)
	if !found || Hash(text) != hash {
		return bff.Document{}, notFound()
	}
	return bff.Document{Text: text, ID: hash}, nil
}

// Keep is bff.Documents.
func (l *Library) Keep(ctx context.Context, document bff.Document) {
	if document.Fresh && (l.options.ByAnyone || caller.FromContext(ctx).Known()) {
		l.options.Persisted.Put(ctx, document.ID, document.Text)
	}
}

// notFound has the message that older clients look for.
func notFound() error {
	return errs.New(errs.PersistedQueryNotFound, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
}

func mismatch() error {
	return errs.New(errs.InvalidArgument, "PERSISTED_QUERY_MISMATCH", "the hash or the id is not that of the query")
}
