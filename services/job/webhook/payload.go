package webhook

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
)

// Limits of a payload.
const (
	maxURL         = 2048 // bytes
	maxHeaders     = 32
	maxHeaderName  = 128
	maxHeaderValue = 4096
)

// payload is {"url": "https://…", "headers": {…}, "body": any JSON}.
type payload struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

func (k *Kind) parse(text string) (payload, error) {
	var p payload
	if err := input.Object("payload", text, `{"url": "https://…", "headers": {…}, "body": …}`, &p); err != nil {
		return payload{}, err
	}
	if err := k.checkURL(p.URL); err != nil {
		return payload{}, err
	}
	if len(p.Headers) > maxHeaders {
		return payload{}, errs.Invalid("payload", "has more than %d headers", maxHeaders)
	}
	for name, value := range p.Headers {
		if err := checkHeader(name, value); err != nil {
			return payload{}, err
		}
	}
	if p.Body == nil {
		p.Body = json.RawMessage("null")
	}
	return p, nil
}

func (k *Kind) checkURL(text string) error {
	if len(text) > maxURL {
		return errs.Invalid("payload", "the url is longer than %d bytes", maxURL)
	}
	to, err := url.Parse(text)
	if err != nil || to.Host == "" || to.Hostname() == "" || (to.Scheme != "https" && to.Scheme != "http") {
		return errs.Invalid("payload", "the url must be a whole one, as in \"https://example.org/hook\"")
	}
	if to.User != nil {
		return errs.Invalid("payload", "the url must not hold a user or password: send a header")
	}
	if err := k.guard.checkHost(to.Hostname()); err != nil {
		return errs.Invalid("payload", "the url: %v", err)
	}
	return nil
}

// reserved lists the headers that a payload may not set, in canonical form: those that HTTP itself needs, and those
// that receivers rely on.
const reserved = " Connection Content-Length Content-Type Expect Host Idempotency-Key Keep-Alive Proxy-Authorization " +
	"Proxy-Connection Sluice-Job-Id Sluice-Run-Id Te Trailer Transfer-Encoding Upgrade User-Agent "

func checkHeader(name, value string) error {
	if name == "" || len(name) > maxHeaderName || strings.ContainsFunc(name, notToken) {
		return errs.Invalid("payload", "%.40q is not the name of a header", name)
	}
	if strings.Contains(reserved, " "+http.CanonicalHeaderKey(name)+" ") {
		return errs.Invalid("payload", "the header %s cannot be set", name)
	}
	if len(value) > maxHeaderValue || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return errs.Invalid("payload", "the value of the header %s is too long or has control characters", name)
	}
	return nil
}

// notToken reports whether the name of a header cannot contain the rune (RFC 9110, section 5.6.2).
func notToken(r rune) bool {
	letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
