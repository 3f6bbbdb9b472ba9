package ingress

import (
	"context"
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/uplink"
)

const (
	maxGroup       = 5_000           // messages per transaction
	attemptTimeout = 5 * time.Second // of one transaction
	retryFor       = 5 * time.Second // retries of a message, before its connection is closed
	retryPause     = 200 * time.Millisecond
)

// committer stores the messages of all connections in groups, one transaction per group. While one commits, the next
// one fills, so the number of commits does not grow with the number of messages.
type committer struct {
	uplink *uplink.Service
	logger *slog.Logger
	queue  chan *batch
}

// batch has the messages of one read of a connection.
type batch struct {
	messages []device.UpMessage
	outcomes []uplink.Outcome
	done     chan struct{} // closed when outcomes are final
	since    time.Time
}

func newCommitter(u *uplink.Service, logger *slog.Logger) *committer {
	return &committer{uplink: u, logger: logger, queue: make(chan *batch, maxGroup)}
}

// store returns the outcome of each message after the commit or the last retry. ctx is that of the process: the end
// of a connection does not cancel its messages.
func (c *committer) store(ctx context.Context, messages []device.UpMessage) []uplink.Outcome {
	b := &batch{messages: messages, done: make(chan struct{}), since: time.Now()}
	select {
	case c.queue <- b:
	case <-ctx.Done():
		return failed(messages, ctx.Err())
	}
	select {
	case <-b.done:
		return b.outcomes
	case <-ctx.Done():
		return failed(messages, ctx.Err())
	}
}

func failed(messages []device.UpMessage, err error) []uplink.Outcome {
	outcomes := make([]uplink.Outcome, len(messages))
	for i := range outcomes {
		outcomes[i].Err = err
	}
	return outcomes
}

func (c *committer) run(ctx context.Context) {
	var waiting []*batch // to be retried
	for {
		group, count := waiting, 0
		waiting = nil
		for _, b := range group {
			count += len(b.messages)
		}
		if len(group) == 0 {
			select {
			case b := <-c.queue:
				group, count = append(group, b), len(b.messages)
			case <-ctx.Done():
				return
			}
		}
	gather:
		for count < maxGroup {
			select {
			case b := <-c.queue:
				group, count = append(group, b), count+len(b.messages)
			default:
				break gather
			}
		}
		if waiting = c.commit(ctx, group); len(waiting) > 0 {
			sleep(ctx, retryPause)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (c *committer) commit(ctx context.Context, group []*batch) (retry []*batch) {
	var messages []device.UpMessage
	for _, b := range group {
		messages = append(messages, b.messages...)
	}
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	outcomes := c.uplink.HandleAll(attempt, messages)
	cancel()
	for _, b := range group {
		own := outcomes[:len(b.messages)]
		outcomes = outcomes[len(b.messages):]
		if b.settle(own) {
			close(b.done)
			continue
		}
		retry = append(retry, b)
	}
	return retry
}

// settle merges the outcomes of an attempt, and reports whether they are final. Only failed messages are retried.
func (b *batch) settle(attempt []uplink.Outcome) bool {
	if b.outcomes == nil {
		b.outcomes = make([]uplink.Outcome, 0, len(attempt))
	}
	var failure error
	for i, o := range attempt {
		if o.Err != nil {
			failure = o.Err
			b.messages = b.messages[i:]
			break
		}
		b.outcomes = append(b.outcomes, o)
	}
	if failure == nil {
		return true
	}
	if time.Since(b.since) < retryFor {
		return false
	}
	for range b.messages {
		b.outcomes = append(b.outcomes, uplink.Outcome{Err: failure})
	}
	return true
}
