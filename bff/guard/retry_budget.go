package guard

import "sync"

// Extra calls are at most so many for each call, and so many at once after a quiet time.
const (
	sparePerCall = 0.1
	mostSpare    = 10
)

// spare is what may be spent on calls beyond those that were asked for, so that a service in trouble
// is not given much more to do for being in trouble.
type spare struct {
	mu   sync.Mutex
	left float64
}

func (s *spare) earn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = min(s.left+sparePerCall, mostSpare)
}

func (s *spare) spend() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left < 1 {
		return false
	}
	s.left--
	return true
}
