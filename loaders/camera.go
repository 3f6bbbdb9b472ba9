package loaders

import (
	"context"

	"github.com/sluicehq/sluice/bff"
)

// streams gives nil for a device that has none to show.
func streams(port bff.Devices) Batch[string, *bff.StreamSession] {
	split := func(id string) (string, struct{}) { return id, struct{}{} }
	return grouped(split, func(ctx context.Context, ids []string, _ struct{}) (map[string]*bff.StreamSession, error) {
		return port.GetStreams(ctx, ids)
	})
}
