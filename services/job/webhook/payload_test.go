package webhook

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/errs"
)

func TestGuardPrivateAddressesAreRefused(t *testing.T) {
	t.Parallel()
	g := newGuard(false)
	for _, text := range []string{
		"127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255",
		"169.254.169.254", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.1.1", "255.255.255.255", "192.0.0.8", "198.18.0.1", "203.0.113.9",
		"::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "::127.0.0.1",
		"::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1",
	} {
		if err := g.check(netip.MustParseAddr(text)); err == nil {
			t.Errorf("%s is let through", text)
		}
	}
	for _, text := range []string{
		"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "169.253.0.1", "223.255.255.255",
		"2606:4700:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8",
	} {
		if err := g.check(netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s is refused", text)
		}
	}
	if err := newGuard(true).check(netip.MustParseAddr("127.0.0.1")); err != nil {
		t.Errorf("refused although allowed: %v", err)
	}
}

func TestCheckVariousPayloadsAcceptsOrNamesFault(t *testing.T) {
	t.Parallel()
	k := New(Options{})
	for _, payload := range []string{
		`{"url": "https://example.org/hook"}`,
		`{"url": "http://example.org:8080/?a=b", "headers": {"X-Token": "a\tb", "Authorization": "Bearer ü"}, "body": null}`,
		`{"url": "https://1.1.1.1/", "body": [1, {"a": "b"}]}`,
		`{"url": "https://[2606:4700:4700::1111]/", "body": "text"}`,
		`{"url": "https://localhost.example.org/"}`,
	} {
		if err := k.Check(payload); err != nil {
			t.Errorf("%s: %v", payload, err)
		}
	}
	var many []string
	for i := range 33 {
		many = append(many, fmt.Sprintf(`"X-%d": "v"`, i))
	}
	for _, payload := range []string{
		``, `null`, `[]`, `"https://example.org"`, `{}`, `{"url": 5}`, `{"url": ""}`, `{"url": "example.org"}`, `{"url": "/hook"}`,
		`{"url": "https://"}`, `{"url": "https://:443/"}`, `{"url": "ftp://example.org/"}`, `{"url": "file:///etc/passwd"}`,
		`{"url": "https://user:pass@example.org/"}`, `{"url": "https://exa mple.org/"}`, `{"url": "https://example.org/\u0000"}`,
		`{"url": "https://example.org/", "method": "GET"}`, `{"url": "https://example.org/"} {}`,
		`{"url": "https://example.org/", "headers": {"": "v"}}`,
		`{"url": "https://example.org/", "headers": {"a b": "v"}}`,
		`{"url": "https://example.org/", "headers": {"host": "internal"}}`,
		`{"url": "https://example.org/", "headers": {"transfer-encoding": "chunked"}}`,
		`{"url": "https://example.org/", "headers": {"sluice-run-id": "run_1"}}`,
		`{"url": "https://example.org/", "headers": {"X-A": "a\r\nX-B: b"}}`,
		`{"url": "https://example.org/", "headers": {"X-A": "` + strings.Repeat("a", maxHeaderValue+1) + `"}}`,
		`{"url": "https://example.org/", "headers": {` + strings.Join(many, ", ") + `}}`,
		`{"url": "https://example.org/` + strings.Repeat("a", maxURL) + `"}`,
		`{"url": "http://127.0.0.1/"}`, `{"url": "http://[::1]/"}`, `{"url": "http://[::ffff:169.254.169.254]/"}`, `{"url": "http://LOCALHOST/"}`,
		`{"url": "http://localhost./"}`, `{"url": "http://a.localhost/"}`, `{"url": "http://[fe80::1%25eth0]/"}`, `{"url": "http://10.1.2.3:80/"}`,
	} {
		err := k.Check(payload)
		if e := errs.From(err); e == nil || e.Code != errs.InvalidArgument || !strings.HasPrefix(e.Message, "payload: ") {
			t.Errorf("%.80s: %v", payload, err)
		}
	}
	if err := New(Options{AllowPrivate: true}).Check(`{"url": "http://127.0.0.1/"}`); err != nil {
		t.Errorf("refused although allowed: %v", err)
	}
}

func FuzzPayload(f *testing.F) {
	f.Add(`{"url": "https://example.org/hook", "headers": {"X-Token": "a"}, "body": [1]}`)
	f.Add(`{"url": "http://[::ffff:10.0.0.1]:80/"}`)
	k := New(Options{})
	f.Fuzz(func(t *testing.T, text string) {
		if err := k.Check(text); err != nil && errs.From(err).Code != errs.InvalidArgument {
			t.Errorf("%q: %v", text, err)
		}
	})
}
