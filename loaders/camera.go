package loaders

import "github.com/sluicehq/sluice/bff"

// Streams loads the stream of each device; nil for a device without one.
func Streams(p Ports) Batch[string, *bff.StreamSession] { return optional(p.Devices.GetStreams) }
