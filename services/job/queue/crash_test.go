package queue_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/services/job"
)

// Environment variables of the child process: the folder of its rows and queue, and the URL of its webhooks.
const (
	childFolder = "SLUICE_TEST_JOB_CHILD"
	childURL    = "SLUICE_TEST_JOB_URL"
)

// childJobs is the number of jobs that the child creates.
const childJobs = 12

// runUntilKilled is the child process: it creates jobs and executes them.
func runUntilKilled(folder string) {
	ctx := context.Background()
	p, err := openPart(ctx, folder, clock.System{})
	for range childJobs {
		if err == nil {
			_, err = p.create(ctx, job.CreateInput{MaxAttempts: 2}, os.Getenv(childURL))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	p.run()
	select {} // until it is killed
}

// The child is killed while some runs are answered, some hang at their receiver and some wait. Another process then
// executes the rest, and repeats no answered run.
func TestProcessKilledLosesNoJobAndRepeatsNoAnsweredRun(t *testing.T) {
	t.Parallel()
	const answered = 4 // then the 4 workers of the child hang
	killed := make(chan struct{})
	url, runs := receiver(t, func(n int, _ http.ResponseWriter, r *http.Request) {
		if n > answered {
			select {
			case <-killed:
			case <-r.Context().Done():
			}
		}
	})
	folder := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childFolder+"="+folder, childURL+"="+url)
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	firings := map[string]int{}
	for range answered + 4 {
		firings[receive(t, "a webhook of the child", runs)[1]]++
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // an error, because it was killed
	close(killed)
	p, stop := start(t, folder, clock.NewManual(time.Now().Add(time.Hour))) // leases and orders have expired
	for deadline := time.After(soon); ; {
		counts, err := p.store.Count(t.Context(), "")
		if err != nil || counts.Total() != childJobs {
			t.Fatalf("%v, %v", counts, err)
		}
		if counts[job.Succeeded] == childJobs {
			break
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatalf("still %v", counts)
		}
	}
	stop()
	for len(runs) > 0 {
		firings[(<-runs)[1]]++
	}
	twice := 0
	for _, times := range firings {
		if times == 2 {
			twice++
		}
		if times > 2 {
			t.Errorf("a firing was sent %d times", times)
		}
	}
	if len(firings) != childJobs || twice != 4 {
		t.Errorf("%d firings, %d of them sent again; want %d and the 4 that were cut short", len(firings), twice, childJobs)
	}
}
