package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/testserver"
	"github.com/sluicehq/sluice/services/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func receiver(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL
}

func payloadTo(url string) string { return `{"url": "` + url + `", "body": {"a": [1, "ü"]}}` }

func TestWebhookDeliveredHasPayloadAndHeaders(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	body := make(chan string, 1)
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		got <- r
		body <- string(data)
		_, _ = io.WriteString(w, "thanks")
	})
	task := job.Task{
		JobID: "job_1", RunID: "run_2", FiringID: "run_1", Attempt: 2,
		Payload: `{"url": "` + url + `/hook?x=1", "headers": {"authorization": "Bearer abc"}, "body": {"a": [1, "ü"]}}`,
	}
	result, err := New(Options{AllowPrivate: true}).Run(t.Context(), task)
	if err != nil || result != `{"status":200,"body":"thanks"}` {
		t.Fatalf("got %s, %v", result, err)
	}
	r := <-got
	if r.Method != http.MethodPost || r.URL.String() != "/hook?x=1" || <-body != `{"a": [1, "ü"]}` {
		t.Errorf("got %s %s", r.Method, r.URL)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "Sluice", "Authorization": "Bearer abc",
		"Sluice-Job-Id": "job_1", "Sluice-Run-Id": "run_2", "Idempotency-Key": "run_1",
	} {
		if r.Header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, r.Header.Get(name), want)
		}
	}
}

func TestWebhookVariousResponsesSucceedFailOrRetry(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status    int
		header    string
		fails     bool
		permanent bool
		after     time.Duration
	}{
		"200":                      {status: 200},
		"204":                      {status: 204},
		"301 is not followed":      {status: 301, fails: true},
		"307 is not followed":      {status: 307, fails: true},
		"400 is for good":          {status: 400, fails: true, permanent: true},
		"404 is for good":          {status: 404, fails: true, permanent: true},
		"408 is not":               {status: 408, fails: true},
		"425 is not":               {status: 425, fails: true},
		"429 says when":            {status: 429, header: "7", fails: true, after: 7 * time.Second},
		"503 says when":            {status: 503, header: "60", fails: true, after: time.Minute},
		"500 says it in other way": {status: 500, header: "Wed, 21 Oct 2015 07:28:00 GMT", fails: true},
		"500 says too much":        {status: 500, header: "99999999999", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			elsewhere := receiver(t, func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
			url := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", elsewhere)
				w.Header().Set("Retry-After", test.header)
				w.WriteHeader(test.status)
			})
			result, err := New(Options{AllowPrivate: true}).Run(t.Context(), job.Task{Payload: payloadTo(url)})
			var answered answer
			if json.Unmarshal([]byte(result), &answered) != nil || answered.Status != test.status {
				t.Errorf("the result is %s", result)
			}
			failure, _ := errors.AsType[*job.Failure](err)
			if !test.fails {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if failure == nil || failure.Permanent != test.permanent || failure.After != test.after {
				t.Errorf("got %+v", failure)
			}
		})
	}
}

func TestWebhookLongResponseIsTruncated(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		for {
			if _, err := io.WriteString(w, strings.Repeat("ü", 1<<10)+"x"); err != nil {
				return
			}
		}
	})
	result, err := New(Options{AllowPrivate: true}).Run(t.Context(), job.Task{Payload: payloadTo(url)})
	var answered answer
	if err != nil || json.Unmarshal([]byte(result), &answered) != nil {
		t.Fatalf("got %d bytes, %v", len(result), err)
	}
	if n := len(answered.Body); n < maxAnswer || n > maxAnswer+4 || !strings.HasPrefix(answered.Body, "üü") {
		t.Errorf("%d bytes", n)
	}
	<-gone
}

func TestWebhookReceiverUnreachableOrSilentIsRetried(t *testing.T) {
	t.Parallel()
	closed := "http://127.0.0.1:" + testserver.FreePort(t)
	release := make(chan struct{})
	silent := receiver(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	ctx, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer end()
	for name, url := range map[string]string{"away": closed + "/?token=secret", "silent": silent} {
		_, err := New(Options{AllowPrivate: true}).Run(ctx, job.Task{Payload: payloadTo(url)})
		if failure, ok := errors.AsType[*job.Failure](err); err == nil || ok {
			t.Errorf("%s: %v, %+v", name, err, failure)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells the URL: %v", name, err)
		}
	}
}

// The name is valid when the job is created, and resolves to an address of this machine when it is dialled. An
// earlier lookup does not count.
func TestWebhookNameResolvesToPrivateAddressIsRefusedAtDial(t *testing.T) {
	t.Parallel()
	url := receiver(t, func(http.ResponseWriter, *http.Request) { t.Error("the webhook has arrived") })
	k := New(Options{})
	dial := (k.client.Transport.(*http.Transport)).DialContext
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	k.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dial(ctx, network, net.JoinHostPort("localhost", port)) // like a malicious name server
	}
	payload := payloadTo("http://hooks.example.org:" + port)
	if err := k.Check(payload); err != nil {
		t.Fatalf("refused too early: %v", err)
	}
	_, err = k.Run(t.Context(), job.Task{Payload: payload})
	failure, ok := errors.AsType[*job.Failure](err)
	if !ok || !failure.Permanent || !errors.Is(err, errRefused) {
		t.Errorf("got %v", err)
	}
}

func TestWebhookProxyInEnvironmentIsIgnored(t *testing.T) {
	proxied := make(chan struct{}, 1)
	proxy := receiver(t, func(http.ResponseWriter, *http.Request) { proxied <- struct{}{} })
	t.Setenv("HTTP_PROXY", proxy)
	t.Setenv("http_proxy", proxy)
	k := New(Options{AllowPrivate: true})
	request, err := http.NewRequest(http.MethodPost, "http://example.org/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if proxyOf := k.client.Transport.(*http.Transport).Proxy; proxyOf != nil {
		url, err := proxyOf(request)
		t.Errorf("goes through %v, %v", url, err)
	}
}
