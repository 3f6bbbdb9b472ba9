package bff

import "context"

// DocumentName is how a request says which document it means: by its text, by the hash of its text, by
// an id, or by its text with one of these.
type DocumentName struct {
	Text string
	Hash string // SHA-256 of the text, in hex
	ID   string
}

// Document is a document that a request may run.
type Document struct {
	Text    string
	ID      string // its id among the trusted ones, or its hash; "" when it came by its text alone
	Trusted bool   // it was there when the gateway started
	Fresh   bool   // its text came with its hash: it may be kept once it has proved valid
}

// Documents knows documents by name. The caller is that of the context.
type Documents interface {
	// Find gives the document, or refuses it: PERSISTED_QUERY_NOT_FOUND asks for its text.
	Find(ctx context.Context, name DocumentName) (Document, error)
	// Keep keeps a fresh document, which is valid and within limits, to be found by its hash.
	Keep(ctx context.Context, document Document)
}
