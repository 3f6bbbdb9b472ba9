package persisted

import (
	"context"
	"fmt"
	"strings"

	"github.com/maypok86/otter/v2"
)

// Memory is a Store in memory with a bound in bytes.
type Memory struct {
	texts *otter.Cache[string, string]
}

var _ Store = (*Memory)(nil)

// entryOverhead is the memory of an entry besides its text, in bytes.
const entryOverhead = 300

// NewMemory returns a store for this many bytes. At the bound it evicts texts that are rarely requested.
func NewMemory(bytes int64) (*Memory, error) {
	texts, err := otter.New(&otter.Options[string, string]{
		MaximumWeight: uint64(max(bytes, 0)),
		Weigher:       func(_, text string) uint32 { return uint32(len(text)) + entryOverhead },
	})
	if err != nil {
		return nil, fmt.Errorf("create the store of persisted documents: %w", err)
	}
	return &Memory{texts: texts}, nil
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, hash string) (string, bool) {
	return m.texts.GetIfPresent(hash)
}

// Put implements Store.
func (m *Memory) Put(_ context.Context, hash, text string) {
	m.texts.Set(hash, strings.Clone(text)) // a substring would retain the whole request
}
