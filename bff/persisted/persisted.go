// Package persisted finds documents that a request names by hash or id: trusted documents of the operator's manifest,
// and persisted documents that clients register (Apollo's automatic persisted queries,
// https://www.apollographql.com/docs/apollo-server/performance/apq).
//
// A hash finds only the text with this hash, even if a shared store returns another. Registered documents are
// bounded. Only trusted documents pass where OnlyTrusted is set. A store may evict a document: then the client
// receives PERSISTED_QUERY_NOT_FOUND, and sends the text.
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

// Store stores texts by their hash, and may evict them at any time.
type Store interface {
	Get(ctx context.Context, hash string) (text string, found bool)
	Put(ctx context.Context, hash, text string)
}

// Options are the settings of Documents.
type Options struct {
	Trusted     map[string]string // texts by id
	OnlyTrusted bool              // for API keys and anonymous callers
	Persisted   Store             // nil refuses registration
	ByAnyone    bool              // anonymous callers may register too
}

// Documents finds documents.
type Documents struct {
	options Options
	ids     map[string]string // of trusted documents, by hash
}

var _ bff.Documents = (*Documents)(nil)

// New returns the documents of the options.
func New(options Options) *Documents {
	d := &Documents{options: options, ids: make(map[string]string, len(options.Trusted))}
	for id, text := range options.Trusted {
		d.ids[Hash(text)] = id
	}
	return d
}

// Hash returns the SHA-256 of the text in hexadecimal.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Find implements bff.Documents.
func (d *Documents) Find(ctx context.Context, name bff.DocumentName) (bff.Document, error) {
	id, hash := name.ID, strings.ToLower(name.Hash)
	if after, ok := strings.CutPrefix(id, "sha256:"); ok {
		id, hash = "", strings.ToLower(after)
	}
	if document, found := d.trusted(id, hash, name.Text); found {
		if name.Text != "" && name.Text != document.Text {
			return bff.Document{}, mismatch()
		}
		return document, nil
	}
	if who := caller.FromContext(ctx); d.options.OnlyTrusted && (!who.Known() || who.APIKeyID != "") {
		return bff.Document{}, errs.New(errs.PermissionDenied, "DOCUMENT_NOT_TRUSTED",
			"only trusted documents are executed here for API keys and anonymous callers")
	}
	switch {
	case id == "" && hash == "":
		return bff.Document{Text: name.Text}, nil
	case hash == "":
		return bff.Document{}, notFound()
	}
	return d.persisted(ctx, hash, name.Text)
}

func (d *Documents) trusted(id, hash, text string) (bff.Document, bool) {
	if len(d.options.Trusted) == 0 {
		return bff.Document{}, false
	}
	if id == "" && hash == "" {
		hash = Hash(text)
	}
	for _, id := range []string{id, hash, d.ids[hash]} {
		if text, found := d.options.Trusted[id]; found {
			return bff.Document{Text: text, ID: id, Trusted: true}, true
		}
	}
	return bff.Document{}, false
}

func (d *Documents) persisted(ctx context.Context, hash, text string) (bff.Document, error) {
	if d.options.Persisted == nil {
		return bff.Document{}, errs.New(errs.PersistedQueryNotSupported, "PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
	}
	if text != "" {
		if Hash(text) != hash {
			return bff.Document{}, mismatch()
		}
		return bff.Document{Text: text, ID: hash, Fresh: true}, nil
	}
	text, found := d.options.Persisted.Get(ctx, hash)
	if !found || Hash(text) != hash {
		return bff.Document{}, notFound()
	}
	return bff.Document{Text: text, ID: hash}, nil
}

// Save implements bff.Documents.
func (d *Documents) Save(ctx context.Context, document bff.Document) {
	if document.Fresh && (d.options.ByAnyone || caller.FromContext(ctx).Known()) {
		d.options.Persisted.Put(ctx, document.ID, document.Text)
	}
}

func notFound() error {
	return errs.New(errs.PersistedQueryNotFound, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
}

func mismatch() error {
	return errs.New(errs.InvalidArgument, "PERSISTED_QUERY_MISMATCH", "the hash or the id is not that of the query")
}
