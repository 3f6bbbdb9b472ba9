package app

import (
	"fmt"
	"net/netip"

	"github.com/sluicehq/sluice/bff/abuse"
	"github.com/sluicehq/sluice/bff/overload"
	"github.com/sluicehq/sluice/bff/quota"
)

// budgets returns the budgets of callers, in memory or in Redis.
func (w *wiring) budgets() *quota.Callers {
	settings := w.config.Quota
	options := quota.Options{Account: settings.AccountPoints, Anonymous: settings.AnonymousPoints, InFlight: settings.InFlight, Clock: w.clock}
	memory := quota.NewMemory(w.clock, settings.Callers)
	if w.redis == nil {
		return quota.New(memory, options)
	}
	return quota.New(quota.NewShared(w.redis, memory), options)
}

func (w *wiring) abuse() *abuse.Callers {
	c := w.config.Abuse
	return abuse.New(abuse.Options{
		Window: c.Window, Failures: c.Failures, Repeats: c.Repeats, OpenFor: c.OpenFor, Kept: c.Callers,
		Key: quota.Key, Registry: w.registry,
	})
}

func (w *wiring) overload(budgets *quota.Callers) *overload.Gate {
	gate := overload.New(overload.Options{
		QueueTime: w.config.Overload.QueueTime, Interval: w.config.Overload.Interval, Spent: budgets.SpentShare,
		Logger: w.logger, Registry: w.registry,
	})
	w.start(gate.Loops()...)
	return gate
}

func (w *wiring) trustedProxies() ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, len(w.config.HTTP.TrustedProxies))
	for i, text := range w.config.HTTP.TrustedProxies {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("http.trusted_proxies: %w", err)
		}
		networks[i] = network
	}
	return networks, nil
}
