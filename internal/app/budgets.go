package app

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/sluicehq/sluice/bff/quota"
)

// budgets is what callers of the gateway may spend: counted here, or in the Redis of the settings.
func (h *house) budgets() (*quota.Callers, error) {
	settings := h.config.Quota
	options := quota.Options{Account: settings.AccountPoints, Anonymous: settings.AnonymousPoints, InFlight: settings.InFlight}
	memory := quota.NewMemory(h.clock, settings.Callers)
	if h.config.Redis.URL == "" {
		return quota.New(memory, options), nil
	}
	client, err := quota.Connect(h.config.Redis.URL.Reveal(), h.config.Redis.Timeout)
	if err != nil {
		return nil, err
	}
	h.program.closing.add("redis", func(context.Context) error { return client.Close() })
	shared := quota.NewShared(client, memory, quota.SharedOptions{Timeout: h.config.Redis.Timeout, Logger: h.logger})
	return quota.New(shared, options), nil
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
