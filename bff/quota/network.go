package quota

import (
	"context"
	"net/netip"
)

type addressKey struct{}

// From returns a context with the network address of its request.
func From(ctx context.Context, address netip.Addr) context.Context {
	return context.WithValue(ctx, addressKey{}, address)
}

// Address returns the network address of the context's request; invalid if unknown.
func Address(ctx context.Context) netip.Addr {
	address, _ := ctx.Value(addressKey{}).(netip.Addr)
	return address
}

// network returns the key of an address: the IPv4 address, or the /64 prefix of the IPv6 address, because a customer
// gets at least a /64 (RFC 6177). Requests without an address share one key.
func network(address netip.Addr) string {
	if !address.IsValid() {
		return "network:unknown"
	}
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return "network:" + address.String()
	}
	prefix, _ := address.Prefix(64) // valid for every IPv6 address
	return "network:" + prefix.String()
}
