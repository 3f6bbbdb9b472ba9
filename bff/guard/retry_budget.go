package guard

import "sync"

// Each call deposits a part of a token; an extra call withdraws one.
const (
	tokensPerCall = 0.1
	maxTokens     = 10 // after a quiet time
)

// retryBudget bounds retries and hedges to a share of all calls, so that they do not overload a failing service.
type retryBudget struct {
	mu     sync.Mutex
	tokens float64
}

func (b *retryBudget) deposit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.tokens+tokensPerCall, maxTokens)
}

func (b *retryBudget) withdraw() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
