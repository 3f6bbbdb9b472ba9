package app

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/abuse"
	"github.com/sluicehq/sluice/bff/overload"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/internal/errs"
)

// budgets is what callers of the gateway may spend: counted here, or in the Redis of the settings.
func (h *house) budgets() *quota.Callers {
	settings := h.config.Quota
	options := quota.Options{Account: settings.AccountPoints, Anonymous: settings.AnonymousPoints, InFlight: settings.InFlight, Clock: h.clock}
	memory := quota.NewMemory(h.clock, settings.Callers)
	if h.redis == nil {
		return quota.New(memory, options)
	}
	return quota.New(quota.NewShared(h.redis, memory), options)
}

// watched is how callers of the gateway behave.
func (h *house) watched() *abuse.Callers {
	c := h.config.Abuse
	return abuse.New(abuse.Options{
		Window: c.Window, Failures: c.Failures, Repeats: c.Repeats, OpenFor: c.OpenFor, Kept: c.Callers,
		Key: quota.Key, Registry: h.registry,
	})
}

// enterer lets an operation of the context's caller begin, or refuses it; leave is called once.
type enterer = func(ctx context.Context, document string) (leave func(), err error)

// entering does for operations over WebSocket and SSE what the entrance does for others.
func entering(budgets *quota.Callers, watched *abuse.Callers, load *overload.Gate) enterer {
	return func(ctx context.Context, document string) (func(), error) {
		err := load.Admit(ctx, document)
		if err == nil {
			err = watched.Unread(ctx, document)
		}
		if err == nil {
			_, _, err = budgets.Early(ctx, document)
		}
		leave := func() {}
		if err == nil {
			leave, err = budgets.Enter(ctx)
		}
		if err != nil {
			watched.Note(ctx, bff.Outcome{Refused: errs.From(err).Reason})
		}
		return leave, err
	}
}

// overloaded refuses requests while the process has more to do than it can.
func (h *house) overloaded(budgets *quota.Callers) *overload.Gate {
	gate := overload.New(overload.Options{
		QueueTime: h.config.Overload.QueueTime, Interval: h.config.Overload.Interval, Spent: budgets.Spent,
		Logger: h.logger, Registry: h.registry,
	})
	h.run("overload", gate.Run)
	return gate
}

// trustedProxies are the networks of the settings.
func (h *house) trustedProxies() ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, len(h.config.HTTP.TrustedProxies))
	for i, text := range h.config.HTTP.TrustedProxies {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("http.trusted_proxies: %w", err)
		}
		networks[i] = network
	}
	return networks, nil
}
