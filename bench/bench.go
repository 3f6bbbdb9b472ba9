// Package bench has the benchmarks of the gateway. Each reports the ratio to a limit of the same run, because
// absolute times depend on the machine. A ratio far beyond its bar fails.
package bench
