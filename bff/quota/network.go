package quota

import (
	"context"
	"net/netip"
)

type addressKey struct{}

// From gives a context whose request comes from the address.
func From(ctx context.Context, address netip.Addr) context.Context {
	return context.WithValue(ctx, addressKey{}, address)
}

// Address is where the context's request comes from; not valid when that is not known.
func Address(ctx context.Context) netip.Addr {
	address, _ := ctx.Value(addressKey{}).(netip.Addr)
	return address
}

// network is the key of the network that an address belongs to: an IPv4 address, or the /64 of an IPv6
// address, because that is the least that one customer gets (RFC 6177). Requests that come from nowhere
// share one.
func network(address netip.Addr) string {
	if !address.IsValid() {
		return "network:unknown"
	}
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return "network:" + address.String()
	}
	prefix, _ := address.Prefix(64) // every IPv6 address has one
	return "network:" + prefix.String()
}
