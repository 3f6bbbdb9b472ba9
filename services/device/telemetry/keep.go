package telemetry

import (
	"context"
	"time"
)

// Keeping says how long readings are kept. Zero durations keep for ever.
type Keeping struct {
	Raw    time.Duration // as they are; then one row a step is left of them
	Step   time.Duration // whole seconds
	Rolled time.Duration // that row
}

const (
	keepEvery = 10 * time.Minute
	keepPage  = 500 // devices
)

// Keep rolls up readings that are old, and forgets what is older, until ctx ends. Any number
// of processes may do it.
func (s *Service) Keep(ctx context.Context, keeping Keeping, failed func(error)) error {
	if keeping.Raw == 0 && keeping.Rolled == 0 {
		return nil
	}
	for {
		if err := s.keepOnce(ctx, keeping); err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(keepEvery):
		}
	}
}

func (s *Service) keepOnce(ctx context.Context, keeping Keeping) error {
	now := s.clock.Now()
	for after := ""; ; {
		ids, err := s.store.DeviceIDs(ctx, after, keepPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := s.keepOf(ctx, id, keeping, now); err != nil {
				return err
			}
		}
		after = ids[len(ids)-1]
	}
}

func (s *Service) keepOf(ctx context.Context, id string, keeping Keeping, now time.Time) error {
	if keeping.Raw > 0 {
		n, err := s.store.Roll(ctx, id, now.Add(-keeping.Raw), keeping.Step)
		s.count("rolled", int(n))
		if err != nil {
			return err
		}
	}
	if keeping.Rolled > 0 {
		return s.store.Forget(ctx, id, now.Add(-keeping.Rolled))
	}
	return nil
}
