// Package testdata embeds the recordings of the tests and of the demo. It promises that they are byte for byte
// as published. SOURCES.md states the origin and the licence of each, and the figures that an import must
// produce; the tests fail on other figures.
package testdata

import "embed"

// Files are the recordings, by their paths in this folder.
//
//go:embed SOURCES.md activities hydration telemetry trips
var Files embed.FS
