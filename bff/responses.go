package bff

import (
	"context"
	"time"
)

// ResponseKey is what the answer to a query depends on, beside what its caller may see.
type ResponseKey struct {
	Document  [32]byte // hash of its text, and of the schema
	Operation string
	Variables map[string]any
	Private   bool // the answer is for its caller alone
}

// KeptResponse is the data of an answer without errors.
type KeptResponse struct {
	Data   []byte
	Points int           // what it cost
	Life   time.Duration // how long it is good for, when nothing ends it earlier
}

// Responses keeps whole answers for as long as nothing is written of what they were made of.
type Responses interface {
	// Find gives the answer that is kept. When there is none it gives what keeps one that is made from
	// then on of what was read; nil when none can be kept.
	Find(ctx context.Context, key ResponseKey) (found *KeptResponse, keep func(ctx context.Context, reads *Reads, made KeptResponse))
}
