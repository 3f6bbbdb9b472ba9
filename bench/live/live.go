// Package live benchmarks subscriptions: CPU per delivery, latency percentiles and idle memory, against a bare
// gorilla server that broadcasts one prepared message in the same run. The servers are separate processes, so that
// the clients' cost is excluded. A ratio far beyond its bar fails.
package live
