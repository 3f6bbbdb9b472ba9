package admission

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// AnyBlocked reports whether any caller may be blocked now, by one atomic load.
func (c *Controller) AnyBlocked() bool { return c.budgets.AnyBlocked() }

// Block returns the budget and the wait of a caller on the block list; a wait of 0 admits it. It counts the refusal.
// The key is quota.KeyOf the caller.
func (c *Controller) Block(by caller.Caller, key string) (left bff.Budget, wait time.Duration) {
	if left, wait = c.budgets.Blocked(by, key); wait > 0 {
		c.abuse.Refused(by, key, quota.ReasonExhausted)
	}
	return left, wait
}

// Verify verifies credentials, unless the breaker of ctx's network is open.
func (c *Controller) Verify(ctx context.Context, verify func() (caller.Caller, error)) (caller.Caller, error) {
	return c.abuse.Verify(ctx, verify)
}

// Arrive acquires a slot for a request of the context's caller, before its body is read. The transport calls release
// once: at the end of the request, or when its subscription has started.
func (c *Controller) Arrive(ctx context.Context) (release func(), err error) {
	if c.budgets.AnyBlocked() {
		if err := c.checkBlockList(ctx); err != nil {
			return nil, err
		}
	}
	if release, err = c.budgets.Acquire(ctx); err != nil {
		c.noteRefusal(ctx, err)
	}
	return release, err
}

// checkBlockList refuses a caller that the HTTP server's block list could not identify: its credentials were not
// verified yet, or its connection is open.
func (c *Controller) checkBlockList(ctx context.Context) error {
	_, wait := c.Block(caller.FromContext(ctx), quota.Key(ctx))
	if wait <= 0 {
		return nil
	}
	refusal := errs.New(errs.ResourceExhausted, quota.ReasonExhausted, "%s", BlockedMessage(wait))
	refusal.RetryAfter = wait
	return refusal
}

// BlockedMessage is the message of a refusal by the block list.
func BlockedMessage(wait time.Duration) string {
	return "you keep retrying before retryAfterMs: retry after " + wait.String()
}

func (c *Controller) noteRefusal(ctx context.Context, err error) {
	c.abuse.Note(ctx, bff.Outcome{Refused: errs.From(err).Reason})
}
