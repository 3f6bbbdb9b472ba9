package ingress

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluicehq/sluice/services/device"
)

const (
	ackTimeout     = 2 * time.Second // for the PUBACK of a configuration
	welcomesAtOnce = 64
	welcomeTimeout = 10 * time.Second
)

// Route implements device.Downlink.
func (l *Listener) Route(ctx context.Context, deviceID string) (bool, error) {
	l.mu.Lock()
	here := len(l.devices[deviceID]) > 0
	l.mu.Unlock()
	if here || l.peers == nil {
		return true, nil
	}
	nodes, err := l.sessions.OwnerNodes(ctx, deviceID)
	if err != nil {
		return false, err
	}
	for _, node := range nodes {
		l.notify(node, verbGreet, deviceID)
	}
	return len(nodes) == 0, nil
}

// Deliver implements device.Downlink.
func (l *Listener) Deliver(ctx context.Context, m device.DownMessage) error {
	err := device.ErrNotSubscribed
	for _, c := range l.of(m.DeviceID) {
		acknowledged, failure := c.send(m)
		if errors.Is(failure, device.ErrNotSubscribed) {
			continue
		}
		if failure == nil && m.Topic == device.DownConfig && acknowledged != nil {
			failure = c.await(ctx, acknowledged)
		}
		if failure != nil {
			err = fmt.Errorf("send %s to %s: %w", m.Topic, m.DeviceID, failure)
			continue
		}
		err = nil
		if m.Topic == device.DownConfig {
			return nil
		}
	}
	return err
}

// await waits for the PUBACK of a message.
func (c *conn) await(ctx context.Context, acknowledged <-chan struct{}) error {
	timer := time.NewTimer(ackTimeout)
	defer timer.Stop()
	select {
	case <-acknowledged:
		return nil
	case <-c.ended:
		return device.ErrNotSubscribed
	case <-timer.C:
		return errBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// welcomes coalesces the deliveries to devices that have subscribed.
type welcomes struct {
	mu      sync.Mutex
	running map[string]bool // by device; true runs it once more
	slots   chan struct{}
}

// Greet sends pending messages to a device that has connected: see presence.Options. It does not wait.
func (l *Listener) Greet(_ context.Context, deviceID string) error {
	select {
	case <-l.ready:
		l.greet(deviceID)
	default: // it is sent when the device subscribes
	}
	return nil
}

// greet sends pending messages to a device that has subscribed, or that another process names. It does not wait.
func (l *Listener) greet(deviceID string) {
	w := &l.welcome
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, running := w.running[deviceID]; running {
		w.running[deviceID] = true
		return
	}
	w.running[deviceID] = false
	go func() {
		w.slots <- struct{}{}
		defer func() { <-w.slots }()
		for again := true; again; {
			ctx, cancel := context.WithTimeout(l.ctx, welcomeTimeout)
			if err := l.uplink.Welcome(ctx, deviceID); err != nil && ctx.Err() == nil {
				l.logger.Warn("what waits for a device is not sent yet", "device", deviceID, "error", err)
			}
			cancel()
			w.mu.Lock()
			if again = w.running[deviceID] && l.ctx.Err() == nil; again {
				w.running[deviceID] = false
			} else {
				delete(w.running, deviceID)
			}
			w.mu.Unlock()
		}
	}()
}
