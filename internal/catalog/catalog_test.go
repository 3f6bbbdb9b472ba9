package catalog_test

import (
	"net"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/catalog"
)

func TestServicesHaveDistinctNamesAddressesAndScopes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	distinct := func(kind, value string) {
		if value == "" || seen[kind+value] {
			t.Errorf("the %s %q is empty or used twice", kind, value)
		}
		seen[kind+value] = true
	}
	for _, s := range catalog.Services() {
		distinct("name", s.Name)
		distinct("address", s.Listen)
		if _, _, err := net.SplitHostPort(s.Listen); err != nil || strings.Trim(s.Name, "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Errorf("%q at %q: %v", s.Name, s.Listen, err)
		}
		for _, scopes := range [][]string{s.Member, s.Operator, s.Admin} {
			for _, scope := range scopes {
				distinct("scope", scope)
			}
		}
		if found, err := catalog.Find(s.Name); err != nil || found.Listen != s.Listen {
			t.Errorf("Find(%q): %+v, %v", s.Name, found, err)
		}
	}
	if _, err := catalog.Find("nothing"); err == nil || !strings.Contains(err.Error(), "account, device") {
		t.Errorf("an unknown name: %v", err)
	}
}
