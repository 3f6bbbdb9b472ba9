package webhook

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/seal"
	"github.com/sluicehq/sluice/services/job"
)

var _ job.Secretive = (*Kind)(nil)

// Mask returns the payload without the values of its headers, and without the path and the query of its URL: both may
// be credentials. The body is shown.
func (k *Kind) Mask(text string) string {
	var p payload
	if json.Unmarshal([]byte(text), &p) != nil {
		return "{}"
	}
	p.URL = maskURL(p.URL)
	for name := range p.Headers {
		p.Headers[name] = seal.Mask
	}
	return p.text()
}

func (p payload) text() string {
	text, err := json.Marshal(p)
	if err != nil {
		return "{}" // never: it was decoded
	}
	return string(text)
}

func maskURL(text string) string {
	to, err := url.Parse(text)
	if err != nil {
		return seal.Mask
	}
	if (to.Path == "" || to.Path == "/") && to.RawQuery == "" && to.Fragment == "" {
		return to.Scheme + "://" + to.Host + to.Path
	}
	return to.Scheme + "://" + to.Host + "/" + seal.Mask
}

// Unmask returns the payload with the secrets of the former one in place of their masks. The secrets of headers stay
// with the scheme and the host that they were given for: an update that changes the target has to send them again.
func (k *Kind) Unmask(text, former string) (string, error) {
	var p, old payload
	if json.Unmarshal([]byte(text), &p) != nil {
		return text, nil // Check names the fault
	}
	if former != "" && json.Unmarshal([]byte(former), &old) != nil {
		former, old = "", payload{}
	}
	masked := strings.Contains(p.URL, seal.Mask)
	if masked {
		if former == "" || p.URL != maskURL(old.URL) {
			return "", errs.Invalid("payload", "the url has a mask in place of its secret: send the whole url")
		}
		p.URL = old.URL
	}
	for name, value := range p.Headers {
		if value != seal.Mask {
			continue
		}
		secret, known := old.header(name)
		if !known || origin(p.URL) != origin(old.URL) {
			return "", errs.Invalid("payload", "the header %.40q has a mask in place of its secret: send its value, also when the url has another host", name)
		}
		p.Headers[name], masked = secret, true
	}
	switch {
	case former != "" && p.text() == old.text():
		return former, nil
	case masked:
		return p.text(), nil
	}
	return text, nil
}

func (p payload) header(name string) (value string, ok bool) {
	for other, value := range p.Headers {
		if http.CanonicalHeaderKey(other) == http.CanonicalHeaderKey(name) {
			return value, true
		}
	}
	return "", false
}

func origin(text string) string {
	to, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return strings.ToLower(to.Scheme + "://" + to.Host)
}

const (
	minSecret   = 4 // bytes: what is shorter is in every text
	minFragment = 8 // bytes of a part of a secret that counts as one
)

// secrets returns the secrets of a payload and their parts, in the forms in which a receiver may repeat them, the
// longest first.
func (p payload) secrets() []string {
	var found []string
	add := func(least int, texts ...string) {
		for _, text := range texts {
			if len(text) < least || text == seal.Mask {
				continue
			}
			inJSON, _ := json.Marshal(text) // a text always encodes
			found = append(found, text, strings.Trim(string(inJSON), `"`), url.QueryEscape(text), url.PathEscape(text))
		}
	}
	for _, value := range p.Headers {
		add(minSecret, value)
		add(minFragment, strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" ;,=", r) })...)
		if _, encoded, ok := strings.Cut(value, " "); ok {
			if basic, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded)); err == nil {
				_, password, _ := strings.Cut(string(basic), ":")
				add(minSecret, string(basic), password)
			}
		}
	}
	if to, err := url.Parse(p.URL); err == nil {
		if len(to.RequestURI()) >= minSecret {
			add(minSecret, p.URL, to.RequestURI(), to.Path)
		}
		add(minFragment, strings.Split(to.Path, "/")...)
		for _, values := range to.Query() {
			add(minSecret, values...)
		}
	}
	slices.SortFunc(found, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(found)
}

func redact(text string, secrets []string) string {
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, seal.Mask)
	}
	return text
}

// Redact masks the secrets of the payload in a text.
func (k *Kind) Redact(payloadText, text string) string {
	var p payload
	if json.Unmarshal([]byte(payloadText), &p) != nil {
		return text
	}
	return redact(text, p.secrets())
}
