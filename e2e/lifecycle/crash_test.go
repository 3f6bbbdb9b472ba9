package lifecycle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
)

// What is written while the program is killed: clients × writesOfClient.
const (
	clients        = 8
	writesOfClient = 250
)

// TestWritesAcknowledgedBeforeKillAreKept kills the program twice while eight clients write. What was
// acknowledged must be there after each restart. What was not is sent again, and must be there once.
func TestWritesAcknowledgedBeforeKillAreKept(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	key := harness.CreateAPIKey(t, data, "ADMIN", "device:read", "device:write", "job:read", "job:write", "activity:read", "activity:write")
	serve := []string{"serve", "--addr", "127.0.0.1:0", "--data", data}
	p := harness.Start(t, serve...)
	said := []*harness.Output{p.Stderr}
	writers := newWriters(t, p, key)
	var acknowledged atomic.Int64
	for _, after := range []int64{800 + rand.Int64N(400), 1400 + rand.Int64N(400)} {
		t.Logf("the program is killed after %d writes", after)
		running := p
		writeAll(t, running, key, writers, func() {
			if acknowledged.Add(1) == after {
				running.Close()
			}
		})
		if acknowledged.Load() < after {
			t.Fatal("the clients stopped before the program was killed")
		}
		p = harness.Start(t, serve...)
		said = append(said, p.Stderr)
		checkWritten(t, p, key, writers)
	}
	writeAll(t, p, key, writers, func() {})
	checkWritten(t, p, key, writers)
	checkTotals(t, p, key)
	awaitJobs(t, p, key)
	checkRuns(t, p, key, writers, said)
	p.StopCleanly(t)
	checkEvents(t, data, writers)
}

// writer is a client that sends its writes one after another, each until it is acknowledged.
type writer struct {
	name   string
	next   int               // the first write that is not acknowledged
	made   map[string]string // title or name by id, of what was acknowledged
	device string
	dueAt  map[int]string // when the jobs are due, once they were sent
}

func newWriters(t *testing.T, p *harness.Program, key string) []*writer {
	t.Helper()
	writers := make([]*writer, clients)
	for i := range writers {
		name := fmt.Sprintf("client %d", i)
		const query = `mutation($name: String!) { registerDevice(input: {name: $name, kind: SENSOR}) { device { id } } }`
		made := harness.Query[struct {
			RegisterDevice struct{ Device struct{ ID string } }
		}](t, p, key, query, harness.Vars{"name": name})
		writers[i] = &writer{name: name, made: map[string]string{}, device: made.RegisterDevice.Device.ID, dueAt: map[int]string{}}
	}
	return writers
}

// writeAll has all clients write until they are done or the program is gone.
func writeAll(t *testing.T, p *harness.Program, key string, writers []*writer, acknowledged func()) {
	t.Helper()
	var all sync.WaitGroup
	for _, w := range writers {
		all.Go(func() {
			for w.next < writesOfClient {
				a, err := w.send(t.Context(), p, key)
				if err != nil {
					return // the program is gone: it is not known whether the write was made
				}
				if !w.note(t, a) {
					return
				}
				acknowledged()
			}
		})
	}
	all.Wait()
}

// send sends the next write: of five, three activities, a job and a change of the device.
func (w *writer) send(ctx context.Context, p *harness.Program, key string) (harness.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, harness.Timeout)
	defer cancel()
	title := w.title()
	switch w.next % 5 {
	case 3:
		if w.dueAt[w.next] == "" { // sent again it must be the same
			w.dueAt[w.next] = time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)
		}
		const query = `mutation($input: CreateJobInput!) { made: createJob(input: $input) { id label: name } }`
		return p.Post(ctx, key, query, harness.Vars{"input": harness.Vars{
			"name": title, "kind": "log", "payload": harness.Vars{"message": title}, "runAt": w.dueAt[w.next], "idempotencyKey": title,
		}})
	case 4:
		const query = `mutation($input: UpdateDeviceInput!) { changed: updateDevice(input: $input) { version } }`
		return p.Post(ctx, key, query, harness.Vars{"input": harness.Vars{
			"id": w.device, "labels": harness.Vars{"write": title}, "expectedVersion": w.updates() + 1,
		}})
	case 0:
		const query = `mutation($input: RecordActivityInput!) { made: recordActivity(input: $input) { id label: title } }`
		return p.Post(ctx, key, query, harness.Vars{"input": harness.Vars{"kind": "NOTE", "title": title, "source": "crash", "externalId": title}})
	}
	const query = `mutation($input: RecordActivityInput!) { made: recordActivity(input: $input) { id label: title } }`
	return p.Post(ctx, key, query, harness.Vars{"input": harness.Vars{"kind": "NOTE", "title": title, "startedAt": "2026-01-01T00:00:00Z", "idempotencyKey": title}})
}

func (w *writer) title() string { return fmt.Sprintf("%s, write %d", w.name, w.next) }

// updates is how many changes of the device are acknowledged.
func (w *writer) updates() int { return w.next / 5 }

// note keeps what was acknowledged. That the device has moved on says that the change, sent before
// the program was killed, was made.
func (w *writer) note(t *testing.T, a harness.Response) bool {
	if len(a.Errors) == 1 && a.Errors[0].Extensions.Reason == "VERSION_CONFLICT" && w.next%5 == 4 {
		w.next++
		return true
	}
	if len(a.Errors) > 0 {
		t.Errorf("%s is refused: %v", w.title(), a.Errors)
		return false
	}
	data := harness.PartialData[struct {
		Made    *struct{ ID, Label string }
		Changed *struct{ Version int }
	}](t, a)
	switch {
	case data.Made != nil && data.Made.Label == w.title():
		w.made[data.Made.ID] = data.Made.Label
	case data.Changed != nil && data.Changed.Version == w.updates()+2:
	default:
		t.Errorf("%s is answered with %s", w.title(), a.Data)
		return false
	}
	w.next++
	return true
}

// checkWritten looks up all that was acknowledged.
func checkWritten(t *testing.T, p *harness.Program, key string, writers []*writer) {
	t.Helper()
	const query = `query($ids: [ID!]!) { nodes(ids: $ids) { ... on Activity { id label: title } ... on Job { id label: name } } }`
	for _, w := range writers {
		ids := make([]string, 0, len(w.made))
		for id := range w.made {
			ids = append(ids, id)
		}
		nodes := harness.Query[struct{ Nodes []struct{ ID, Label string } }](t, p, key, query, harness.Vars{"ids": ids}).Nodes
		for i, node := range nodes {
			if node.ID != ids[i] || node.Label != w.made[ids[i]] {
				t.Errorf("%s (%s) was acknowledged and is %+v", w.made[ids[i]], ids[i], node)
			}
		}
		const device = `query($id: ID!) { device(id: $id) { version labels } }`
		got := harness.Query[struct{ Device struct{ Version int } }](t, p, key, device, harness.Vars{"id": w.device}).Device.Version
		// One more may have been made than was acknowledged.
		if got < w.updates()+1 || got > w.updates()+2 {
			t.Errorf("the device of %s is at version %d after %d acknowledged changes", w.name, got, w.updates())
		}
	}
}

// checkTotals wants every write once.
func checkTotals(t *testing.T, p *harness.Program, key string) {
	t.Helper()
	const query = `{
		activities(first: 1) { totalCount } jobs(first: 1) { totalCount }
		devices(first: 20) { totalCount nodes { version } }
	}`
	got := harness.Query[map[string]struct {
		TotalCount int
		Nodes      []struct{ Version int }
	}](t, p, key, query, nil)
	if n := got["activities"].TotalCount; n != clients*writesOfClient*3/5 {
		t.Errorf("there are %d activities, want %d", n, clients*writesOfClient*3/5)
	}
	if n := got["jobs"].TotalCount; n != clients*writesOfClient/5 {
		t.Errorf("there are %d jobs, want %d", n, clients*writesOfClient/5)
	}
	for _, device := range got["devices"].Nodes {
		if device.Version != 1+writesOfClient/5 {
			t.Errorf("a device is at version %d, want %d", device.Version, 1+writesOfClient/5)
		}
	}
}

// awaitJobs waits until no job has anything left to do. A run that was at work when the program was
// killed is taken for lost when its lease of 30 s is over.
func awaitJobs(t *testing.T, p *harness.Program, key string) {
	t.Helper()
	const query = `{ jobs(filter: {statuses: [SCHEDULED, QUEUED, RUNNING, RETRYING]}, first: 1) { totalCount } }`
	harness.Eventually(t, 4*harness.Timeout, "all jobs have run", func() bool {
		return harness.Query[struct{ Jobs harness.Count }](t, p, key, query, nil).Jobs.TotalCount == 0
	})
}

type jobWithRuns struct {
	ID, Status string
	Runs       struct {
		Nodes []struct{ ID, Status, Error string }
	}
}

// checkRuns wants one answered run of every job. Work is done at least once: a run that a kill cut
// short between the work and the answer is lost, and the work is done again by another. There is no
// other reason for a second run, and each kill can cut short as many as run at once, which is 8.
func checkRuns(t *testing.T, p *harness.Program, key string, writers []*writer, said []*harness.Output) {
	t.Helper()
	var log strings.Builder
	for _, one := range said {
		log.WriteString(one.String())
	}
	const query = `query($ids: [ID!]!) { nodes(ids: $ids) { ... on Job { id status runs { nodes { id status error } } } } }`
	lost := 0
	for _, w := range writers {
		var jobs []string
		for id := range w.made {
			if strings.HasPrefix(id, "job_") {
				jobs = append(jobs, id)
			}
		}
		for _, job := range harness.Query[struct{ Nodes []jobWithRuns }](t, p, key, query, harness.Vars{"ids": jobs}).Nodes {
			lost += checkRunsOf(t, job, log.String())
		}
	}
	t.Logf("%d runs were cut short", lost)
	if most := 8 * (len(said) - 1); lost > most {
		t.Errorf("%d runs were cut short, which is more than the %d that can be at work", lost, most)
	}
}

func checkRunsOf(t *testing.T, job jobWithRuns, log string) (lost int) {
	t.Helper()
	succeeded := 0
	for _, one := range job.Runs.Nodes {
		spoken := strings.Count(log, `msg="a job says" job=`+job.ID+" run="+one.ID)
		switch {
		case one.Status == "SUCCEEDED" && spoken == 1:
			succeeded++
		case one.Status == "FAILED" && strings.Contains(one.Error, "went away") && spoken <= 1:
			lost++
		default:
			t.Errorf("a run of %s is %+v, and was done %d times", job.ID, one, spoken)
		}
	}
	if succeeded != 1 || job.Status != "SUCCEEDED" {
		t.Errorf("%s is %s and has %d answered runs: %+v", job.ID, job.Status, succeeded, job.Runs.Nodes)
	}
	return lost
}

// checkEvents wants an event of each thing made, and one for each version of the devices.
func checkEvents(t *testing.T, data string, writers []*writer) {
	t.Helper()
	byEntity := map[string][]string{} // ids of events
	for _, event := range harness.StoredEvents(t, data) {
		id := event.Subject[strings.LastIndexByte(event.Subject, '.')+1:]
		byEntity[id] = append(byEntity[id], event.ID)
	}
	for _, w := range writers {
		for id, title := range w.made {
			if len(byEntity[id]) == 0 {
				t.Errorf("there is no event of %s (%s)", title, id)
			}
		}
		events := byEntity[w.device]
		slices.Sort(events)
		if n := len(slices.Compact(events)); n != 1+writesOfClient/5 {
			t.Errorf("there are %d events of the device of %s, want %d", n, w.name, 1+writesOfClient/5)
		}
	}
}

// TestJobsDueDuringDowntimeRunOnce kills a program that has jobs ahead, and starts it again when they are past due.
func TestJobsDueDuringDowntimeRunOnce(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	key := harness.CreateAPIKey(t, data, "OPERATOR", "job:read", "job:write")
	serve := []string{"serve", "--addr", "127.0.0.1:0", "--data", data}
	first := harness.Start(t, serve...)
	due := time.Now().Add(12 * time.Second)
	var ids []string
	for i := range 20 {
		const query = `mutation($name: String!, $at: DateTime!) { createJob(input: {name: $name, kind: "log", payload: {message: "late"}, runAt: $at}) { id status } }`
		made := harness.Query[struct{ CreateJob struct{ ID, Status string } }](t, first, key, query, harness.Vars{"name": fmt.Sprint("late ", i), "at": due})
		ids = append(ids, made.CreateJob.ID)
	}
	first.Kill(t)
	if strings.Contains(first.Stderr.String(), "a job says") {
		t.Fatal("jobs ran before the program was killed: the test proves nothing")
	}
	time.Sleep(time.Until(due)) // the time that is to pass while nothing runs

	second := harness.Start(t, serve...)
	awaitJobs(t, second, key)
	const query = `query($ids: [ID!]!) { nodes(ids: $ids) { ... on Job { id status runs { nodes { id status error } } } } }`
	for _, job := range harness.Query[struct{ Nodes []jobWithRuns }](t, second, key, query, harness.Vars{"ids": ids}).Nodes {
		if lost := checkRunsOf(t, job, second.Stderr.String()); lost > 0 {
			t.Errorf("%s has runs that were cut short: %+v", job.ID, job.Runs.Nodes)
		}
	}
	second.StopCleanly(t)
}
