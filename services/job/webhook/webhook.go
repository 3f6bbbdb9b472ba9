// Package webhook is the job kind "webhook": a run POSTs JSON to a URL. It connects to public addresses only, unless
// the configuration allows others, and checks each connection after the name was resolved. It uses no proxy, follows
// no redirect, and reads at most 4 KiB of the response. 2xx is success; 4xx other than 408, 425 and 429 is a
// permanent failure; every other failure is retried, not before its Retry-After. The header Idempotency-Key is the
// same for all attempts of a firing: the id of the first run.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/services/job"
)

const (
	dialTimeout   = 10 * time.Second
	maxAnswer     = 4 << 10  // bytes of the body that are read
	maxAnswerHead = 64 << 10 // bytes of the headers
	maxRetryAfter = 3600
)

// Options define the allowed targets of webhooks.
type Options struct {
	AllowPrivate bool // also loopback, link-local, private and reserved addresses
}

// Kind POSTs the JSON in "body" to {"url": …}, with "headers".
type Kind struct {
	guard  guard
	client *http.Client
}

// New returns the kind.
func New(options Options) *Kind {
	g := newGuard(options.AllowPrivate)
	dialer := &net.Dialer{Timeout: dialTimeout, Control: g.control}
	return &Kind{guard: g, client: &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy would resolve names where the address is not checked
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    dialTimeout,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxAnswerHead,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Check refuses an invalid payload, and a URL with a refused address.
func (k *Kind) Check(payload string) error {
	_, err := k.parse(payload)
	return err
}

// answer is the result of a run.
type answer struct {
	Status int    `json:"status"`
	Body   string `json:"body"` // the first 4 KiB, as text
}

// Run sends the request. The response is the result of the run, on success and on failure.
func (k *Kind) Run(ctx context.Context, task job.Task) (string, error) {
	p, err := k.parse(task.Payload)
	if err != nil {
		return "", job.Permanent(err)
	}
	request, err := newRequest(ctx, p, task)
	if err != nil {
		return "", job.Permanent(err)
	}
	secrets := p.secrets()
	response, err := k.client.Do(request)
	if errors.Is(err, errRefused) {
		return "", job.Permanent(errRefused)
	}
	if err != nil {
		return "", fmt.Errorf("send the webhook: %s", redact(withoutURL(err).Error(), secrets))
	}
	defer func() { _ = response.Body.Close() }() // the rest of the body is ignored
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+maxHeaderValue))
	if err != nil && success(response.StatusCode) {
		return "", fmt.Errorf("read the answer: %s", redact(err.Error(), secrets))
	}
	result, err := json.Marshal(answer{Status: response.StatusCode, Body: shown(body, secrets)})
	if err != nil {
		return "", fmt.Errorf("keep the answer: %w", err)
	}
	return string(result), judge(response)
}

// shown returns the beginning of a body as text, in which the receiver's echo of a secret is masked. More than the
// beginning was read, so that no secret at the cut is shown in part.
func shown(body []byte, secrets []string) string {
	text := redact(strings.ToValidUTF8(string(body), "\uFFFD"), secrets)
	if len(body) == maxAnswer+maxHeaderValue {
		text = text[:max(0, len(text)-maxHeaderValue)]
	}
	return strings.ToValidUTF8(text[:min(len(text), maxAnswer)], "\uFFFD")
}

func newRequest(ctx context.Context, p payload, task job.Task) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(p.Body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	for name, value := range p.Headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Sluice")
	request.Header.Set("Sluice-Job-Id", task.JobID)
	request.Header.Set("Sluice-Run-Id", task.RunID)
	request.Header.Set("Idempotency-Key", task.FiringID)
	return request, nil
}

func success(status int) bool { return status >= 200 && status < 300 }

func judge(response *http.Response) error {
	status := response.StatusCode
	if success(status) {
		return nil
	}
	err := fmt.Errorf("the receiver answered %s", strings.TrimSpace(strconv.Itoa(status)+" "+http.StatusText(status)))
	if status >= 300 && status < 400 {
		err = fmt.Errorf("%w, and webhooks do not follow redirects", err)
	}
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
	default:
		if status >= 400 && status < 500 {
			return job.Permanent(err)
		}
	}
	return &job.Failure{Err: err, After: retryAfter(response.Header.Get("Retry-After"))}
}

func retryAfter(header string) time.Duration {
	seconds, err := strconv.Atoi(header)
	if err != nil || seconds < 0 || seconds > maxRetryAfter {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// withoutURL removes the URL from an error of http.Client, because it may contain a secret, and the server from an
// error of a lookup.
func withoutURL(err error) error {
	if inURL, ok := errors.AsType[*url.Error](err); ok {
		err = inURL.Err
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("look up %s: %s", lookup.Name, lookup.Err)
	}
	return err
}
