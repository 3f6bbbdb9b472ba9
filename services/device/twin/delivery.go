package twin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/internal/worker"
	"github.com/sluicehq/sluice/services/device"
)

// delivery sends desired configurations to devices. The store has the version that each device acknowledged by
// PUBACK, so a restart neither loses nor repeats a delivery.
type delivery struct {
	wakeup worker.Wakeup
	mu     sync.Mutex
	// delayed has devices with a failed delivery, and the time of the next attempt.
	delayed map[string]backoff
	// welcomed has the time of the last delivery to a device that connected.
	welcomed map[string]time.Time
}

type backoff struct {
	version int64
	next    time.Time
	wait    time.Duration
}

const (
	deliveryBatch = 500 // configurations per read
	atOnce        = 64  // concurrent deliveries; each waits for a PUBACK
	// deliveryInterval is the poll interval for configurations that another process stored.
	deliveryInterval = 2 * time.Second
	retryMin         = 2 * time.Second
	retryMax         = time.Minute
	// repeatPause prevents a second delivery when a connection is noticed twice.
	repeatPause = time.Second
	maxDelayed  = 100_000 // devices in memory
)

func newDelivery() *delivery {
	return &delivery{wakeup: worker.NewWakeup(), delayed: map[string]backoff{}, welcomed: map[string]time.Time{}}
}

// due reports whether the version may be delivered now: it never failed, or its backoff has passed.
func (d *delivery) due(c Config, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, failed := d.delayed[c.DeviceID]
	return !failed || b.version != c.DesiredVersion || !b.next.After(now)
}

func (d *delivery) settle(c Config, failed bool, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.delayed[c.DeviceID]
	if !failed || len(d.delayed) >= maxDelayed {
		delete(d.delayed, c.DeviceID)
		return
	}
	if b.version != c.DesiredVersion {
		b = backoff{version: c.DesiredVersion}
	}
	b.wait = min(max(2*b.wait, retryMin), retryMax)
	b.next = now.Add(b.wait)
	d.delayed[c.DeviceID] = b
}

func (d *delivery) welcome(deviceID string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last, known := d.welcomed[deviceID]; known && now.Before(last.Add(repeatPause)) {
		return false
	}
	if len(d.welcomed) >= maxDelayed {
		clear(d.welcomed)
	}
	d.welcomed[deviceID] = now
	return true
}

// DeliveryLoop describes the background loop that delivers desired configurations. Failures are retried with backoff.
func (s *Service) DeliveryLoop() worker.Loop {
	return worker.Loop{Name: "twin delivery", Interval: deliveryInterval, Wakeup: s.delivery.wakeup, MaxBackoff: deliveryInterval, Pass: func(ctx context.Context) error {
		_, err := s.DeliverPending(ctx)
		return err
	}}
}

// DeliverPending delivers the desired configurations without an acknowledgement or a report, and returns the number
// of deliveries. It skips devices that are OFFLINE, not subscribed, or connected to another process.
func (s *Service) DeliverPending(ctx context.Context) (int, error) {
	done := 0
	for after := ""; ; {
		pending, err := s.store.UndeliveredConfigs(ctx, after, deliveryBatch)
		if err != nil || len(pending) == 0 {
			return done, err
		}
		after = pending[len(pending)-1].DeviceID
		delivered, failure := s.deliverAll(ctx, pending)
		if err := s.store.MarkDelivered(ctx, delivered); err != nil {
			return done, err
		}
		done += len(delivered)
		if failure != nil || len(pending) < deliveryBatch {
			return done, failure
		}
	}
}

func (s *Service) deliverAll(ctx context.Context, pending []Config) (delivered []Config, failure error) {
	var mu sync.Mutex
	var all errgroup.Group
	all.SetLimit(atOnce)
	for _, c := range pending {
		if !s.delivery.due(c, s.clock.Now()) {
			continue
		}
		all.Go(func() error {
			err := s.deliver(ctx, c)
			s.delivery.settle(c, err != nil, s.clock.Now())
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				delivered = append(delivered, c)
			case !errors.Is(err, device.ErrNotSubscribed):
				failure = errors.Join(failure, err)
			}
			return nil
		})
	}
	_ = all.Wait() // the functions return no error
	return delivered, failure
}

type desiredMessage struct {
	Version int64           `json:"version"`
	Desired json.RawMessage `json:"desired"`
}

func (s *Service) deliver(ctx context.Context, c Config) error {
	payload, err := json.Marshal(desiredMessage{Version: c.DesiredVersion, Desired: json.RawMessage(c.Desired)})
	if err != nil {
		return fmt.Errorf("write the configuration of %s: %w", c.DeviceID, err)
	}
	if err := s.downlink.Deliver(ctx, device.DownMessage{DeviceID: c.DeviceID, Topic: device.DownConfig, Payload: payload}); err != nil {
		return fmt.Errorf("deliver the configuration of %s: %w", c.DeviceID, err)
	}
	return nil
}

// Welcome delivers its desired configuration to a device that has connected or subscribed, unless it is in sync.
func (s *Service) Welcome(ctx context.Context, deviceID string) error {
	found, err := s.store.GetConfigs(ctx, []string{deviceID})
	if err != nil || len(found) == 0 || found[0].InSync() {
		return err
	}
	here, err := s.downlink.Route(ctx, deviceID)
	if err != nil || !here || !s.delivery.welcome(deviceID, s.clock.Now()) {
		return err
	}
	err = s.deliver(ctx, found[0])
	s.delivery.settle(found[0], err != nil, s.clock.Now())
	if errors.Is(err, device.ErrNotSubscribed) {
		s.delivery.forget(deviceID)
		return nil
	}
	if err != nil {
		return err
	}
	return s.store.MarkDelivered(ctx, found)
}

// forget makes the next welcome of the device due, because nothing was delivered.
func (d *delivery) forget(deviceID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.welcomed, deviceID)
	delete(d.delayed, deviceID)
}
