// Package webhook is the job kind "webhook": a run POSTs JSON to a URL.
//
// It goes to public addresses only, unless the configuration says otherwise, which is checked on
// every connection after the name was looked up; no proxy is used, no redirect is followed, and of
// the answer no more than the first 4 KiB are read. A 2xx answer is success. A 4xx answer other than
// 408, 425 and 429 is a failure for good; whatever else goes wrong is tried again, not before the
// time that a Retry-After header gives in seconds.
//
// The receiver can tell a repeat by the header Idempotency-Key: all attempts of one firing carry the
// same, which is the id of the first of its runs.
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

// Options say where webhooks may go.
type Options struct {
	AllowPrivate bool // also to loopback, link-local, private and reserved addresses
}

// Kind POSTs to {"url": …} the JSON in "body", with "headers".
type Kind struct {
	guard  guard
	client *http.Client
}

// New makes the kind.
func New(options Options) *Kind {
	g := newGuard(options.AllowPrivate)
	dialer := &net.Dialer{Timeout: dialTimeout, Control: g.control}
	return &Kind{guard: g, client: &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // one from the environment would do the look-up out of our sight
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    dialTimeout,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxAnswerHead,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Check refuses a payload that is not one, or whose URL names an address that is refused.
func (k *Kind) Check(payload string) error {
	_, err := k.parse(payload)
	return err
}

// answer is the result of a run.
type answer struct {
	Status int    `json:"status"`
	Body   string `json:"body"` // its first 4 KiB, as text
}

// Run sends the request and reads the answer, which is its result whether it is success or not.
func (k *Kind) Run(ctx context.Context, task job.Task) (string, error) {
	request, err := k.request(ctx, task)
	if err != nil {
		return "", job.Permanent(err)
	}
	response, err := k.client.Do(request)
	if errors.Is(err, errRefused) {
		return "", job.Permanent(errRefused)
	}
	if err != nil {
		return "", fmt.Errorf("send the webhook: %w", withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }() // what is not read does not matter
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil && success(response.StatusCode) {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	result, err := json.Marshal(answer{Status: response.StatusCode, Body: strings.ToValidUTF8(string(body), "\uFFFD")})
	if err != nil {
		return "", fmt.Errorf("keep the answer: %w", err)
	}
	return string(result), judge(response)
}

func (k *Kind) request(ctx context.Context, task job.Task) (*http.Request, error) {
	p, err := k.parse(task.Payload)
	if err != nil {
		return nil, err
	}
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

// judge is nil for success.
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

// retryAfter reads a Retry-After header in seconds (RFC 9110, section 10.2.3); 0 for anything else.
func retryAfter(header string) time.Duration {
	seconds, err := strconv.Atoi(header)
	if err != nil || seconds < 0 || seconds > maxRetryAfter {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// withoutURL takes from an error of http.Client the URL, which may hold a secret, and from one of a
// look-up the server that was asked.
func withoutURL(err error) error {
	if inURL, ok := errors.AsType[*url.Error](err); ok {
		err = inURL.Err
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("look up %s: %s", lookup.Name, lookup.Err)
	}
	return err
}
