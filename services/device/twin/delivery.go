package twin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluicehq/sluice/internal/worker"
	"github.com/sluicehq/sluice/services/device"
)

// delivery hands desired configurations to devices. What is wanted is in the store, with what was
// handed on, so that a restart forgets none and hands none on twice.
type delivery struct {
	wakeup worker.Wakeup
	mu     sync.Mutex
	again  map[string]time.Time // devices that have just connected, and the time of the second delivery
}

func newDelivery() *delivery {
	return &delivery{wakeup: worker.NewWakeup(), again: map[string]time.Time{}}
}

// remind schedules a second delivery: a device that has just connected may not have subscribed yet. A
// reminder lost with the process is repaired by the next connection.
func (c *delivery) remind(deviceID string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.again) < maxReminders {
		c.again[deviceID] = at
	}
}

// due removes and returns the devices whose second delivery is due.
func (c *delivery) due(now time.Time) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var due []string
	for id, at := range c.again {
		if !at.After(now) && len(due) < deliveryBatch {
			due = append(due, id)
			delete(c.again, id)
		}
	}
	return due
}

const (
	deliveryBatch = 100
	// deliveryInterval is how often is looked for what another process was told, or could not hand on.
	deliveryInterval = 2 * time.Second
	// remindAfter is how long a device may take to subscribe after it has connected.
	remindAfter  = time.Second
	maxReminders = 100_000 // devices
)

// DeliveryLoop describes the background loop that delivers desired configurations. A failed delivery is retried.
func (s *Service) DeliveryLoop() worker.Loop {
	return worker.Loop{Name: "twin delivery", Interval: deliveryInterval, Wakeup: s.delivery.wakeup, MaxBackoff: deliveryInterval, Pass: func(ctx context.Context) error {
		_, err := s.DeliverPending(ctx)
		return err
	}}
}

// DeliverPending sends the desired configuration to devices that are not known to be offline, once a version, and
// returns how many it sent. A device that reconnects receives it again, unless it has reported it.
func (s *Service) DeliverPending(ctx context.Context) (int, error) {
	done, err := s.deliverReminders(ctx)
	if err != nil {
		return done, err
	}
	for {
		pending, err := s.store.UndeliveredConfigs(ctx, deliveryBatch)
		if err != nil || len(pending) == 0 {
			return done, err
		}
		var handed []Config
		var failures []error
		for _, c := range pending {
			if err := s.deliver(ctx, c); err != nil {
				failures = append(failures, err)
				continue
			}
			handed = append(handed, c)
		}
		if err := s.store.MarkDelivered(ctx, handed); err != nil {
			return done, err
		}
		done += len(handed)
		if len(failures) > 0 || len(pending) < deliveryBatch {
			return done, errors.Join(failures...)
		}
	}
}

// deliverReminders sends the second delivery, except to devices that have reported.
func (s *Service) deliverReminders(ctx context.Context) (done int, err error) {
	for {
		due := s.delivery.due(s.clock.Now())
		if len(due) == 0 {
			return done, nil
		}
		configs, err := s.store.GetConfigs(ctx, due)
		if err != nil {
			return done, err
		}
		for _, c := range configs {
			if c.InSync() {
				continue
			}
			if err := s.deliver(ctx, c); err != nil {
				return done, err
			}
			done++
		}
	}
}

// wantedMessage is the payload of config/desired.
type wantedMessage struct {
	Version int64           `json:"version"`
	Desired json.RawMessage `json:"desired"`
}

func (s *Service) deliver(ctx context.Context, c Config) error {
	payload, err := json.Marshal(wantedMessage{Version: c.DesiredVersion, Desired: json.RawMessage(c.Desired)})
	if err != nil {
		return fmt.Errorf("write the configuration of %s: %w", c.DeviceID, err)
	}
	if err := s.downlink.Deliver(ctx, c.DeviceID, device.DownConfig, payload); err != nil {
		return fmt.Errorf("deliver the configuration of %s: %w", c.DeviceID, err)
	}
	return nil
}

// Welcome sends a device that has just connected its desired configuration, unless it is in sync.
func (s *Service) Welcome(ctx context.Context, deviceID string) error {
	found, err := s.store.GetConfigs(ctx, []string{deviceID})
	if err != nil || len(found) == 0 || found[0].InSync() {
		return err
	}
	if err := s.deliver(ctx, found[0]); err != nil {
		return err
	}
	s.delivery.remind(deviceID, s.clock.Now().Add(remindAfter))
	return s.store.MarkDelivered(ctx, found)
}
