package lifecycle

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

// A webhook goes where the configuration lets it, is tried again after a failure, and is left alone after a success.
func TestWebhookJobIsRetriedUntilSuccess(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	bodies := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the webhook: %v", err)
		}
		bodies <- r.Method + " " + string(body)
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer receiver.Close()
	data := t.TempDir()
	key := harness.CreateAPIKey(t, data, "OPERATOR", "job:read", "job:write")
	p := harness.Start(t, "serve", "--addr", "127.0.0.1:0", "--data", data, "--job-webhook-allow-private")

	const create = `mutation($input: CreateJobInput!) { createJob(input: $input) { id } }`
	id := harness.Query[struct{ CreateJob struct{ ID string } }](t, p, key, create, harness.Vars{"input": harness.Vars{
		"name": "tell", "kind": "webhook", "payload": harness.Vars{"url": receiver.URL, "body": harness.Vars{"hello": "world"}},
	}}).CreateJob.ID
	awaitJobs(t, p, key)

	const look = `query($id: ID!) { job(id: $id) { status attempt runs { nodes { status attempt } } } }`
	job := harness.Query[struct {
		Job struct {
			Status  string
			Attempt int
			Runs    struct {
				Nodes []struct {
					Status  string
					Attempt int
				}
			}
		}
	}](t, p, key, look, harness.Vars{"id": id}).Job
	if runs := job.Runs.Nodes; job.Status != "SUCCEEDED" || len(runs) != 2 || runs[0].Status != "SUCCEEDED" || runs[1].Status != "FAILED" || runs[0].Attempt != 2 {
		t.Errorf("the job is %+v, want a failed attempt and then one that succeeds", job)
	}
	p.StopCleanly(t)
	close(bodies)
	n := 0
	for body := range bodies {
		if n++; body != `POST {"hello":"world"}` {
			t.Errorf("the webhook was %s", body)
		}
	}
	if n != 2 {
		t.Errorf("the webhook was called %d times, want 2", n)
	}
}
