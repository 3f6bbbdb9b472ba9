// Package live pushes events to subscribers over WebSocket and Server-Sent Events.
//
// # Model
//
// eventstream.Source reads the stream of events. Hub.publish finds the groups whose selection contains an event and
// whose callers see it. A group is all subscriptions with the same document, variables and visibility: it executes
// its operation once per event. A shard owns some of the connections and writes the result to the subscribers of the
// group that are in the broadcast.
//
// In catch-up, a goroutine replays the stream for a subscriber, at the pace of its client; then the subscriber joins
// the broadcast. A subscriber starts with catch-up if its client resumes from a cursor. A slow consumer, whose queue
// is full, returns to catch-up.
//
// The reader of a silent WebSocket is parked on a goroutine with the smallest stack. An event stream is the handler
// of its HTTP request. The shard checks timeouts once a second.
//
// # Invariants
//
// A subscription has no hole and no duplicate: results follow the order of the stream, each with its cursor, and a
// client that resumes on any gateway receives all later events. Events that retention has deleted are one gap with
// its bounds. A subscriber joins the broadcast only after every event that was broadcast before (group.join). Only
// subscribers with equal visibility share a result. No shard waits for a client: queues, pending events, connections
// and operations are bounded.
//
// # Failure
//
// While the broker is away, subscribers wait, and Hub.follow retries with a backoff. When the stream was created
// anew, every connection is closed with 1012, and clients that resume receive a gap. A client that accepts no bytes
// within the write timeout is closed with 1013, and resumes from its cursor. An operation that fails or panics for
// one event has the error as its result. Connections of expired or revoked credentials are closed with 4403 before
// the next event. Drain closes connections one after another with 1012, after their queued results. A killed gateway
// needs no cleanup, because clients have the cursors.
package live
