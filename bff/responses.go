package bff

import (
	"context"
	"time"
)

// ResponseKey identifies the response to a query, beside the rights of its caller.
type ResponseKey struct {
	Document  [32]byte // hash of its text and of the schema
	Operation string
	Variables map[string]any
	Private   bool   // for its caller alone
	Denied    string // fields that the caller's scopes deny
}

// CachedResponse is the data of a response without errors.
type CachedResponse struct {
	Data   []byte
	Points int           // its cost
	TTL    time.Duration // remaining, without an earlier invalidation
	Tier   Tier          // where it was found
}

// Responses caches responses to whole queries until a write changes an entity in them.
type Responses interface {
	// Lookup returns the cached response. It waits for an equal request in progress, until ctx ends. Without a cached
	// response it returns the flight that stores the response; nil if the response cannot be cached.
	Lookup(ctx context.Context, key ResponseKey) (*CachedResponse, ResponseFlight)
}

// ResponseFlight is a request in progress. Equal requests wait for it.
type ResponseFlight interface {
	// Store stores the response with its reads.
	Store(reads *Reads, response CachedResponse)
	// Finish must be called in any case, with the context of the request. If that context has ended, a waiting
	// request executes the query.
	Finish(ctx context.Context)
}
