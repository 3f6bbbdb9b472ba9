package storetest

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/job"
)

func createMany(t *testing.T, s Store, n int, change func(i int, j *job.Job)) []job.Job {
	t.Helper()
	var jobs []job.Job
	for i := range n {
		j := newJob()
		j.CreatedAt = noon().Add(time.Duration(i/2) * time.Second)
		change(i, &j)
		jobs = append(jobs, create(t, s, j))
	}
	slices.Reverse(jobs)
	slices.SortStableFunc(jobs, func(a, b job.Job) int {
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		if a.ID > b.ID {
			return -1
		}
		return 1
	})
	return jobs
}

func jobIDs(jobs []job.Job) []string {
	all := make([]string, len(jobs))
	for i, j := range jobs {
		all[i] = j.ID
	}
	return all
}

func listPages(t *testing.T, s Store) {
	want := jobIDs(createMany(t, s, 7, func(int, *job.Job) {}))
	var got []string
	request := page.Request{First: 3, WithTotal: true}
	for {
		p, err := s.List(t.Context(), job.Filter{}, request)
		if err != nil {
			t.Fatal(err)
		}
		if p.Total == nil || *p.Total != 7 || len(p.Cursors) != len(p.Items) {
			t.Errorf("total %v, %d cursors", p.Total, len(p.Cursors))
		}
		got = append(got, jobIDs(p.Items)...)
		if !p.HasNext {
			break
		}
		request.After = p.Cursors[len(p.Cursors)-1]
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func listFilters(t *testing.T, s Store) {
	device := ids.New(ids.Device)
	jobs := createMany(t, s, 4, func(i int, j *job.Job) {
		j.Name = []string{"Plain", "ÄRGER 100% sure", "under_score", "back\\slash"}[i]
		j.Status = []job.Status{job.Scheduled, job.Failed, job.Cancelled, job.Failed}[i]
		j.Kind = []string{"log", "webhook", "log", "log"}[i]
		j.CreatedBy = []string{"account_a", "account_b", "account_a", "account_b"}[i]
		if i < 2 {
			j.DeviceID = device
		}
	})
	for name, test := range map[string]struct {
		filter job.Filter
		want   []string
	}{
		"none":                  {job.Filter{}, []string{"Plain", "back\\slash", "under_score", "ÄRGER 100% sure"}},
		"statuses":              {job.Filter{Statuses: []job.Status{job.Failed, job.Cancelled}}, []string{"back\\slash", "under_score", "ÄRGER 100% sure"}},
		"kinds":                 {job.Filter{Kinds: []string{"webhook"}}, []string{"ÄRGER 100% sure"}},
		"device":                {job.Filter{DeviceID: device}, []string{"Plain", "ÄRGER 100% sure"}},
		"name, any case":        {job.Filter{NameContains: "ärger"}, []string{"ÄRGER 100% sure"}},
		"percent is no pattern": {job.Filter{NameContains: "0%"}, []string{"ÄRGER 100% sure"}},
		"nor is an underscore":  {job.Filter{NameContains: "r_s"}, []string{"under_score"}},
		"nor a backslash":       {job.Filter{NameContains: `K\S`}, []string{"back\\slash"}},
		"owner":                 {job.Filter{CreatedBy: "account_b"}, []string{"back\\slash", "ÄRGER 100% sure"}},
		"all of them":           {job.Filter{CreatedBy: "account_b", DeviceID: device, Statuses: []job.Status{job.Scheduled}}, nil},
	} {
		p, err := s.List(t.Context(), test.filter, page.Request{WithTotal: true})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, j := range p.Items {
			got = append(got, j.Name)
		}
		if slices.Sort(got); !slices.Equal(got, test.want) || *p.Total != int64(len(test.want)) {
			t.Errorf("%s: got %q of %d, want %q", name, got, *p.Total, test.want)
		}
	}
	if own, err := s.Get(t.Context(), jobIDs(jobs), "account_a"); err != nil || len(own) != 2 {
		t.Errorf("got %d jobs of the owner, %v, want 2", len(own), err)
	}
}

func counts(t *testing.T, s Store) {
	createMany(t, s, 5, func(i int, j *job.Job) {
		j.Status = []job.Status{job.Failed, job.Failed, job.Scheduled, job.Running, job.Failed}[i]
		j.CreatedBy = []string{"account_a", "account_b"}[i%2]
	})
	for owner, want := range map[string]job.Counts{
		"":          {job.Failed: 3, job.Scheduled: 1, job.Running: 1},
		"account_b": {job.Failed: 1, job.Running: 1},
		"account_c": {},
	} {
		got, err := s.Count(t.Context(), owner)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: got %v, %v, want %v", owner, got, err, want)
		}
	}
}

func deviceJobs(t *testing.T, s Store) {
	devices := []string{ids.New(ids.Device), ids.New(ids.Device), ids.New(ids.Device)}
	jobs := createMany(t, s, 10, func(i int, j *job.Job) {
		j.DeviceID = devices[i%2]
		if i > 7 {
			j.CreatedBy = "account_b"
		}
	})
	of := func(device string) []string {
		return jobIDs(slices.DeleteFunc(slices.Clone(jobs), func(j job.Job) bool { return j.DeviceID != device }))
	}
	pages, err := s.ListOfDevices(t.Context(), devices, "", page.Request{First: 2, WithTotal: true})
	if err != nil || len(pages) != 2 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, device := range devices[:2] {
		p := pages[device]
		if !slices.Equal(jobIDs(p.Items), of(device)[:2]) || !p.HasNext || p.Total == nil || *p.Total != 5 {
			t.Errorf("got %v of %v, want %v of 5", jobIDs(p.Items), p.Total, of(device)[:2])
		}
	}
	next, err := s.ListOfDevices(t.Context(), devices[:1], "", page.Request{First: 5, After: pages[devices[0]].Cursors[1]})
	if p := next[devices[0]]; err != nil || !slices.Equal(jobIDs(p.Items), of(devices[0])[2:]) || p.HasNext {
		t.Errorf("got %v, %v, want %v", jobIDs(p.Items), err, of(devices[0])[2:])
	}
	own, err := s.ListOfDevices(t.Context(), devices, "account_b", page.Request{})
	if err != nil || len(own) != 2 || len(own[devices[0]].Items) != 1 {
		t.Errorf("got %v, %v, want one job a device", own, err)
	}
}

func runPages(t *testing.T, s Store) {
	var jobs, want []string
	for i := range 3 {
		j := newJob()
		j.CreatedBy = []string{"account_a", "account_b", "account_b"}[i]
		jobs = append(jobs, create(t, s, j).ID)
	}
	for i := range 4 {
		runID := ids.New(ids.JobRun)
		want = append([]string{runID}, want...)
		change(t, s, jobs[0], queueRun(runID, noon().Add(time.Duration(i)*time.Second)))
		change(t, s, jobs[1], queueRun(ids.New(ids.JobRun), noon()))
	}
	pages, err := s.ListRuns(t.Context(), jobs, "", page.Request{First: 3, WithTotal: true})
	if err != nil || len(pages) != 2 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	p := pages[jobs[0]]
	if !slices.Equal(runIDs(p.Items), want[:3]) || !p.HasNext || *p.Total != 4 {
		t.Errorf("got %v of %d, want %v", runIDs(p.Items), *p.Total, want[:3])
	}
	rest, err := s.ListRuns(t.Context(), jobs[:1], "", page.Request{First: 3, After: p.Cursors[2]})
	if p := rest[jobs[0]]; err != nil || !slices.Equal(runIDs(p.Items), want[3:]) || p.HasNext {
		t.Errorf("got %v, %v, want %v", runIDs(p.Items), err, want[3:])
	}
	own, err := s.ListRuns(t.Context(), jobs, "account_b", page.Request{})
	if err != nil || len(own) != 1 || len(own[jobs[1]].Items) != 4 {
		t.Errorf("got %v, %v, want the runs of the second job", own, err)
	}
}

func runIDs(runs []job.Run) []string {
	all := make([]string, len(runs))
	for i, r := range runs {
		all[i] = r.ID
	}
	return all
}

func invalidCursors(t *testing.T, s Store) {
	create(t, s, newJob())
	for _, after := range []string{
		"x", page.AtTime("runs", noon(), ids.New(ids.JobRun)).String(),
		page.Cursor{Order: "jobs", Key: "noon", ID: ids.New(ids.Job)}.String(),
		page.AtTime("jobs", noon(), "\xff").String(),
	} {
		_, err := s.List(t.Context(), job.Filter{}, page.Request{After: after})
		if e := errs.From(err); e == nil || e.Code != errs.InvalidArgument {
			t.Errorf("%q: %v", after, err)
		}
	}
}

func oldRuns(t *testing.T, s Store) {
	j := create(t, s, newJob())
	atWork := ids.New(ids.JobRun)
	change(t, s, j.ID, queueRun(atWork, noon().Add(-time.Hour)))
	var runs []job.Run
	for i := range job.MaxRuns + 5 {
		at := noon().Add(time.Duration(i) * time.Second)
		runs = append(runs, job.Run{ID: fmt.Sprintf("run_%026d", i), JobID: j.ID, Attempt: 1, Status: job.Failed, DueAt: at, QueuedAt: at, FinishedAt: &at})
	}
	change(t, s, j.ID, func(job.Job, *job.Run) (job.Change, error) { return job.Change{Runs: runs}, nil })
	newest := ids.New(ids.JobRun)
	change(t, s, j.ID, queueRun(newest, noon().Add(24*time.Hour)))
	p, err := s.ListRuns(t.Context(), []string{j.ID}, "", page.Request{First: 1, WithTotal: true})
	if err != nil || p[j.ID].Items[0].ID != newest || *p[j.ID].Total != job.MaxRuns+1 {
		t.Errorf("got %d runs, %v, want %d and the one that waits", *p[j.ID].Total, err, job.MaxRuns)
	}
}
