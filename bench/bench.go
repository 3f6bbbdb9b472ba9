// Package bench measures the gateway against limits that are measured beside it, in the same run:
// ratios, never times. `make bench` runs it. It has tests only.
package bench
