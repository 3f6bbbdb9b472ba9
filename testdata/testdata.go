// Package testdata is the recordings that Sluice is tested and shown with, kept to the byte as they
// were published. SOURCES.md says where each is from, under which licence, and the figures that must
// come out of it.
package testdata

import "embed"

// Files is the recordings, by their paths in this folder.
//
//go:embed SOURCES.md activities hydration telemetry trips
var Files embed.FS
