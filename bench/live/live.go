// Package live measures what a subscription costs: CPU per delivery, latency and idle memory, each
// beside a bare gorilla server that writes one prepared message to every connection, in the same run.
// The servers are processes of their own, so that what the clients cost is not counted.
package live
