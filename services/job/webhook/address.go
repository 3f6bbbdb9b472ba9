package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
)

// errRefused is the error for an address to which webhooks are not sent.
var errRefused = errors.New("webhooks do not go to this address")

// refusedNetworks returns the networks outside the public internet, and the translation prefixes of IPv6 that
// represent IPv4 addresses. Source: IANA's registries of special-purpose addresses (RFC 6890),
// https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry
func refusedNetworks() []netip.Prefix {
	texts := strings.Fields(`
		0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
		192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24
		203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
		::/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001:db8::/32 2002::/16
		2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8`)
	networks := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		networks[i] = netip.MustParsePrefix(text)
	}
	return networks
}

// guard decides to which addresses a webhook may connect.
type guard struct{ refused []netip.Prefix }

func newGuard(allowPrivate bool) guard {
	if allowPrivate {
		return guard{}
	}
	return guard{refused: refusedNetworks()}
}

// check refuses an address after the name was resolved, so DNS rebinding cannot bypass it.
func (g guard) check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	for _, network := range g.refused {
		if network.Contains(addr) {
			return fmt.Errorf("%w: %s", errRefused, addr)
		}
	}
	return nil
}

func (g guard) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", errRefused, address)
	}
	return g.check(to.Addr())
}

// checkHost refuses a literal address before any lookup.
func (g guard) checkHost(host string) error {
	if len(g.refused) == 0 {
		return nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return fmt.Errorf("%w: %s", errRefused, host)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return nil // a name, which is checked when it is dialled
	}
	return g.check(addr)
}
