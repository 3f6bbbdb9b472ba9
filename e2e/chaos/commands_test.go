package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
)

// commander sends commands to devices by the clock (open loop).
type commander struct {
	mu     sync.Mutex
	sent   map[string]sentCommand // by command
	failed []string
}

type sentCommand struct {
	to  *worker
	due time.Time
}

const send = `mutation($d: ID!) { sendCommand(input: {deviceId: $d, name: "blink", timeoutSeconds: 60}) { id } }`

// run sends a command to each worker each interval, and returns when all are sent.
func (c *commander) run(p *harness.Program, token string, workers []*worker, every time.Duration, until time.Time) {
	var running sync.WaitGroup
	for i, w := range workers {
		running.Go(func() {
			first := time.Now().Add(every * time.Duration(i) / time.Duration(len(workers)))
			for due := first; due.Before(until); due = due.Add(every) {
				time.Sleep(time.Until(due)) // an open loop is by the clock
				running.Go(func() { c.send(p, token, w, due) })
			}
		})
	}
	running.Wait()
}

func (c *commander) send(p *harness.Program, token string, w *worker, due time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), harness.Timeout)
	defer cancel()
	response, err := p.Post(ctx, token, send, harness.Vars{"d": w.ID})
	var id string
	if err == nil {
		id, err = commandID(response)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed = append(c.failed, err.Error())
		return
	}
	c.sent[id] = sentCommand{w, due}
}

// take waits until each command that was sent is answered, and returns the times from their due time to the PUBACK of
// their result.
func (c *commander) take(t *testing.T, limit time.Duration) (took []time.Duration) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.failed) > 0 {
		t.Errorf("%d commands are not sent: %s", len(c.failed), c.failed[0])
	}
	harness.Eventually(t, limit, fmt.Sprintf("%d commands are answered", len(c.sent)), func() bool {
		for id, s := range c.sent {
			s.to.mu.Lock()
			at, answered := s.to.answered[id]
			s.to.mu.Unlock()
			if !answered {
				return false
			}
			took = append(took, at.Sub(s.due))
			delete(c.sent, id)
		}
		return true
	})
	return took
}

// ids returns the commands that are not taken yet.
func (c *commander) ids() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.sent))
}
