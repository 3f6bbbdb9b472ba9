package bff

import "context"

// DocumentName identifies the document of a request: the text, its hash, an id, or the text with one of these.
type DocumentName struct {
	Text string
	Hash string // SHA-256 of the text, in hex
	ID   string
}

// Document is a document that may be executed.
type Document struct {
	Text    string
	ID      string // id of a trusted document, or the hash; "" if only the text was sent
	Trusted bool   // loaded at the start
	Fresh   bool   // sent with its hash: it may be persisted once it is valid
}

// Documents is the store of persisted documents, for the caller of the context.
type Documents interface {
	// Find returns the document, or refuses it. PERSISTED_QUERY_NOT_FOUND requests the text.
	Find(ctx context.Context, name DocumentName) (Document, error)
	// Save persists a fresh and valid document under its hash.
	Save(ctx context.Context, document Document)
}
