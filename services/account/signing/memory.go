package signing

import (
	"context"
	"slices"
	"sync"
)

// Memory is a Store without persistence, for tests. The zero Memory is empty.
type Memory struct {
	mu   sync.Mutex
	keys []StoredKey
}

// SigningKeys implements Store.
func (m *Memory) SigningKeys(context.Context) ([]StoredKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.keys), nil
}

// AddSigningKey implements Store.
func (m *Memory) AddSigningKey(_ context.Context, key StoredKey) (added bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.ContainsFunc(m.keys, func(k StoredKey) bool { return k.Number == key.Number || k.ID == key.ID }) {
		return false, nil
	}
	m.keys = append(m.keys, key)
	return true, nil
}

// DeleteSigningKey implements Store.
func (m *Memory) DeleteSigningKey(_ context.Context, number int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = slices.DeleteFunc(m.keys, func(k StoredKey) bool { return k.Number == number })
	return nil
}
