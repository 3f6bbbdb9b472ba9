package job_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/job"
)

func TestJobsAndTheirRunsEndAtTheQuotaOfTheirAccount(t *testing.T) {
	t.Parallel()
	const limit = 200_000
	h := newEnv(t, func(context.Context, job.Task) (string, error) { return `"` + strings.Repeat("r", 4_000) + `"`, nil })
	h.db.LimitStorage(sqldb.StorageLimits{Account: limit})
	account := ids.New(ids.Account)
	owner := caller.NewContext(t.Context(), caller.Caller{AccountID: account, Role: caller.Operator, Scopes: caller.ScopesOf(caller.Operator)})
	used := func() int64 {
		all, err := h.db.Storage(t.Context(), []string{account})
		if err != nil {
			t.Fatal(err)
		}
		return all[account].Used
	}
	cron, err := h.service.Create(owner, job.CreateInput{Name: "each minute", Kind: "test", Payload: "{}", Cron: "* * * * *"})
	if err != nil {
		t.Fatal(err)
	}
	for range 80 {
		h.clock.Advance(time.Minute)
		for _, d := range h.schedule() {
			if err := h.worker.Handle(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(h.runsOf(cron.ID)); used() > limit+10_000 || n < 9 || h.runs.Load() != 80 {
		t.Errorf("after %d runs, %d are stored, and use %d bytes of %d", h.runs.Load(), n, used(), limit)
	}
	var refusal error
	later := h.clock.Now().Add(time.Hour)
	for i := 0; refusal == nil && i < 100; i++ {
		_, refusal = h.service.Create(owner, job.CreateInput{Name: "later", Kind: "test", Payload: `"` + strings.Repeat("p", 30_000) + `"`, RunAt: &later})
	}
	if e := errs.From(refusal); e == nil || e.Reason != "STORAGE_QUOTA_EXHAUSTED" {
		t.Errorf("a job beyond the quota: %v", refusal)
	}
	payload := `"` + strings.Repeat("p", 60_000) + `"`
	_, err = h.service.Update(owner, job.UpdateInput{ID: cron.ID, Payload: &payload})
	if e := errs.From(err); e == nil || e.Reason != "STORAGE_QUOTA_EXHAUSTED" {
		t.Errorf("a larger payload: %v", err)
	}
	if err := h.service.Delete(owner, cron.ID, nil); err != nil {
		t.Error(err)
	}
}
