// Package devices measures the listener for devices: messages a second with PUBACK after the commit, as a ratio to a
// bare loop with the same commits, and the memory of a connection.
package devices
