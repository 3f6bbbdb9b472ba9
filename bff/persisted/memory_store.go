package persisted

import (
	"context"
	"fmt"
	"strings"

	"github.com/maypok86/otter/v2"
)

// Memory is a store in memory, bounded by what it holds.
type Memory struct {
	kept *otter.Cache[string, string]
}

var _ Store = (*Memory)(nil)

// besides is what a text takes in memory beside itself: its hash, and the store's own.
const besides = 300

// NewMemory keeps texts of as many bytes; whatever was not asked for lately goes first.
func NewMemory(bytes int64) (*Memory, error) {
	kept, err := otter.New(&otter.Options[string, string]{
		MaximumWeight: uint64(max(bytes, 0)),
		Weigher:       func(_, text string) uint32 { return uint32(len(text)) + besides },
	})
	if err != nil {
		return nil, fmt.Errorf("keep persisted documents: %w", err)
	}
	return &Memory{kept: kept}, nil
}

// Get is Store.
func (m *Memory) Get(_ context.Context, hash string) (string, bool) { return m.kept.GetIfPresent(hash) }

// Put is Store.
func (m *Memory) Put(_ context.Context, hash, text string) {
	m.kept.Set(hash, strings.Clone(text)) // not with the whole request that it came in
}
