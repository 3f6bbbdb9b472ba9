// Package live contains the benchmarks of subscriptions: CPU per delivery, latency percentiles and idle
// memory. The limit is a bare gorilla server that broadcasts one prepared message to every connection, in the
// same run. The servers are separate processes, so that the cost of the clients is not included. A ratio far
// beyond its bar fails the benchmark.
package live
