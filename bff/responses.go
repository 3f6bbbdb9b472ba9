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
	Tier   Tier          // where it was found
}

// Responses keeps whole answers for as long as nothing is written of what they were made of.
type Responses interface {
	// Find gives the answer that is kept. When an equal one is being made it waits for that, as long as
	// ctx lets it. When there is none it gives what takes the one that is made then; nil when none can be
	// kept.
	Find(ctx context.Context, key ResponseKey) (*KeptResponse, Making)
}

// Making is an answer that is being made. Equal requests wait for its end.
type Making interface {
	// Keep keeps the answer, which was made of the reads.
	Keep(reads *Reads, made KeptResponse)
	// End is to be called, whatever became of it, with the context of its request: when that has ended
	// somebody else makes the answer.
	End(ctx context.Context)
}
