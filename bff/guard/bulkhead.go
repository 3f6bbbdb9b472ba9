package guard

import (
	"context"
	"sync"
	"time"
)

// shares bounds the calls that one caller has under way, so that there is room for the others whatever it
// does. Who has not signed in is one caller here: nobody tells them apart this far inside.
type shares struct {
	most int

	mu sync.Mutex
	of map[string]*share // of callers with calls under way
}

type share struct {
	room  chan struct{} // one in it for each call under way
	users int           // calls under way, or waiting
}

// enter takes a place, and waits for one for a moment; false when there is none.
func (s *shares) enter(ctx context.Context, name string, wait time.Duration) bool {
	s.mu.Lock()
	own := s.of[name]
	if own == nil {
		own = &share{room: make(chan struct{}, s.most)}
		s.of[name] = own
	}
	own.users++
	s.mu.Unlock()
	if place(ctx, own.room, wait) {
		return true
	}
	s.gone(name, own)
	return false
}

func (s *shares) leave(name string) {
	s.mu.Lock()
	own := s.of[name]
	s.mu.Unlock()
	<-own.room
	s.gone(name, own)
}

func (s *shares) gone(name string, own *share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(s.of, name)
	}
}

// place takes one in the room, and waits for it for a moment.
func place(ctx context.Context, room chan struct{}, wait time.Duration) bool {
	select {
	case room <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case room <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	case <-timer.C:
		return false
	}
}
