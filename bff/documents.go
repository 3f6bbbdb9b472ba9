package bff

import "context"

// DocumentName is how a request identifies its document: by the text, by the hash of the text, by an id, or by the
// text with one of these.
type DocumentName struct {
	Text string
	Hash string // SHA-256 of the text, in hex
	ID   string
}

// Document is a document that a request may execute.
type Document struct {
	Text    string
	ID      string // its id among the trusted documents, or its hash; "" when only the text was sent
	Trusted bool   // loaded when the gateway started
	Fresh   bool   // the text was sent with its hash: it may be persisted once it is valid
}

// Documents is the store of persisted documents. The caller is that of the context.
type Documents interface {
	// Find returns the document. It refuses a document that may not run; PERSISTED_QUERY_NOT_FOUND requests the text.
	Find(ctx context.Context, name DocumentName) (Document, error)
	// Save persists a fresh document, which is valid and within limits, under its hash.
	Save(ctx context.Context, document Document)
}
