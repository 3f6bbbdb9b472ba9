package rpc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/sqldb"
	activityv1 "github.com/sluicehq/sluice/services/gen/activity/v1"
)

func (h environment) storage(t *testing.T, owner string) sqldb.Storage {
	t.Helper()
	all, err := h.db.Storage(t.Context(), []string{owner})
	if err != nil {
		t.Fatal(err)
	}
	return all[owner]
}

func TestFloodOfActivitiesEndsAtTheQuotaOfItsAccount(t *testing.T) {
	t.Parallel()
	const limit = 256 << 10
	for name, tt := range map[string]struct {
		role caller.Role
		key  bool // each call has an idempotency key, and so a stored result
	}{
		"a member": {role: caller.Member}, "a member with keys": {role: caller.Member, key: true},
		"an operator with public activities": {role: caller.Operator},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			h.db.LimitStorage(sqldb.StorageLimits{Account: limit})
			flooder, account := as(t, tt.role)
			request := func(i int) *activityv1.RecordActivityRequest {
				a := note()
				a.ExternalId, a.Content, a.DataJson = fmt.Sprint(i), strings.Repeat("ü", 10_000), `"`+strings.Repeat("x", 20_000)+`"`
				r := &activityv1.RecordActivityRequest{Activity: a}
				if tt.key {
					r.IdempotencyKey = fmt.Sprint("key ", i)
				}
				return r
			}
			accepted := 0
			var refusal error
			for i := range 30 {
				if _, refusal = h.RecordActivity(flooder, request(i)); refusal == nil {
					accepted++
				}
			}
			wantRefusal(t, "the last one", refusal, errs.ResourceExhausted, "STORAGE_QUOTA_EXHAUSTED")
			if used := h.storage(t, account).Used; accepted < 2 || used > limit || used < limit/2 {
				t.Errorf("%d activities were accepted, and use %d bytes of %d", accepted, used, limit)
			}
			if again, err := h.RecordActivity(flooder, request(0)); err != nil || again.GetId() == "" {
				t.Errorf("a repeat of the first: %v, %v", again, err)
			}
			other, _ := as(t, caller.Member)
			record(other, t, h, request(1).GetActivity())
		})
	}
}
