// Package bench contains the benchmarks of the gateway. Each compares the gateway with a limit that is
// measured in the same run, and reports the ratio, because absolute times depend on the machine. `make bench`
// runs them. A ratio far beyond its bar fails the benchmark.
package bench
