package bff

import (
	"context"
	"time"
)

// ResponseKey is what the response to a query depends on, beside the rights of its caller.
type ResponseKey struct {
	Document  [32]byte // hash of its text and of the schema
	Operation string
	Variables map[string]any
	Private   bool   // the response is for its caller alone
	Denied    string // the fields that the caller's scopes do not allow
}

// CachedResponse is the data of a response without errors.
type CachedResponse struct {
	Data   []byte
	Points int           // its cost
	TTL    time.Duration // the time left, if no write invalidates it earlier
	Tier   Tier          // where it was found
}

// Responses caches responses to whole queries until a write changes an entity that they contain.
type Responses interface {
	// Lookup returns the cached response. While an equal request is in progress it waits for that response, until ctx
	// ends. Without a cached response it returns the flight that stores the response to this request; nil when the
	// response cannot be cached.
	Lookup(ctx context.Context, key ResponseKey) (*CachedResponse, ResponseFlight)
}

// ResponseFlight is a request in progress. Equal requests wait until it finishes.
type ResponseFlight interface {
	// Store stores the response, which contains what the reads noted.
	Store(reads *Reads, response CachedResponse)
	// Finish must be called in any case, with the context of the request. If that context has ended, one of the
	// waiting requests executes the query.
	Finish(ctx context.Context)
}
