// Package live pushes events to subscribers over WebSocket and Server-Sent Events.
//
// # Model
//
// eventstream.Source reads the stream of events. Hub.publish finds the groups whose selection contains an event and whose
// callers see it. A group is all subscriptions with the same document, variables and visibility: it executes its operation
// once per event. The result goes to the shards. A shard owns some of the connections and writes the result to the
// subscribers of the group that are in the broadcast.
//
// A subscriber is in one of two states. In the broadcast, its shard writes results to it. In catch-up, a goroutine replays the
// stream for it, at the pace of its client, until it has caught up; then it joins the broadcast. A subscriber starts with
// catch-up when its client resumes from a cursor. A slow consumer, whose queue is full, leaves the broadcast for catch-up.
//
// A WebSocket is an upgraded connection whose reader is parked on a goroutine with the smallest stack while the client sends
// nothing. An event stream is the handler of its HTTP request. Neither needs a timer: the shard checks timeouts once a second.
//
// # Invariants
//
//   - A subscription has no hole and no duplicate: the results that a client receives follow the order of the stream, and each
//     carries its cursor. A client that resumes from a cursor, on any gateway, receives all later events.
//   - Events that retention has deleted are reported as one gap with its bounds, never skipped silently.
//   - A subscriber joins the broadcast only after every event that was broadcast before (group.join).
//   - Only subscribers with equal visibility share a result.
//   - No shard waits for a client. The queue of a connection is bounded, and so are the pending events of a group.
//   - Connections are bounded in total and per caller, operations per connection.
//
// # Failure
//
//   - The broker is away: subscribers wait, and Hub.follow retries with a backoff. Connections stay open.
//   - The stream was created anew: every connection is closed with 1012. Clients that resume receive a gap.
//   - A client accepts no bytes within the write timeout: its connection is closed with 1013, and it resumes from its cursor.
//   - An operation fails or panics for one event: the error is the result of this event, and the subscription goes on.
//   - Credentials expire or are revoked: their connections are closed with 4403 before the next event.
//   - The gateway stops: Drain closes the connections one after another with 1012, after their queued results. A gateway that
//     is killed needs no cleanup, because clients hold the cursors.
package live
