package app

import (
	"fmt"
	"net/netip"

	"github.com/sluicehq/sluice/bff/abuse"
	"github.com/sluicehq/sluice/bff/overload"
	"github.com/sluicehq/sluice/bff/quota"
)

// budgets returns the budgets of the callers, in the memory of this gateway or in the Redis of the settings.
func (h *house) budgets() *quota.Callers {
	settings := h.config.Quota
	options := quota.Options{Account: settings.AccountPoints, Anonymous: settings.AnonymousPoints, InFlight: settings.InFlight, Clock: h.clock}
	memory := quota.NewMemory(h.clock, settings.Callers)
	if h.redis == nil {
		return quota.New(memory, options)
	}
	return quota.New(quota.NewShared(h.redis, memory), options)
}

// abuse returns the usage and the breakers of the callers.
func (h *house) abuse() *abuse.Callers {
	c := h.config.Abuse
	return abuse.New(abuse.Options{
		Window: c.Window, Failures: c.Failures, Repeats: c.Repeats, OpenFor: c.OpenFor, Kept: c.Callers,
		Key: quota.Key, Registry: h.registry,
	})
}

// overload returns the load shedding of the process.
func (h *house) overload(budgets *quota.Callers) *overload.Gate {
	gate := overload.New(overload.Options{
		QueueTime: h.config.Overload.QueueTime, Interval: h.config.Overload.Interval, Spent: budgets.Spent,
		Logger: h.logger, Registry: h.registry,
	})
	h.run("overload", gate.Run)
	return gate
}

// trustedProxies returns the networks of the settings.
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
