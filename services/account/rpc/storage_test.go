package rpc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/sqldb"
)

func TestKeysAndSessionsEndAtTheQuotaOfTheirAccount(t *testing.T) {
	t.Parallel()
	const limit = 20_000
	h := build(t, nil)
	h.db.LimitStorage(sqldb.StorageLimits{Account: limit})
	first := h.login(t, "admin")
	admin := as(t, first.GetAccount())
	used := func(owner string) int64 {
		all, err := h.db.Storage(t.Context(), []string{owner})
		if err != nil {
			t.Fatal(err)
		}
		return all[owner].Used
	}
	var err error
	for i := 0; err == nil && i < 100; i++ {
		request := createRequest("trip:read")
		request.Name, request.IdempotencyKey = strings.Repeat("n", 50), fmt.Sprint(i)
		_, err = h.CreateApiKey(admin, request)
	}
	refused(t, err, errs.ResourceExhausted, "STORAGE_QUOTA_EXHAUSTED")
	for range 5 { // a sign-in is never refused: the oldest sessions end
		last := h.login(t, "admin")
		if got := used(first.GetAccount().GetId()); got > limit+1_000 {
			t.Errorf("%d bytes of %d", got, limit)
		}
		if _, err := h.refresh(t, first.GetRefreshToken()); err == nil {
			t.Error("the oldest session goes on")
		}
		first = last
	}
	for range 200 {
		h.login(t, "alice")
	}
	if alice := h.login(t, "alice").GetAccount().GetId(); used(alice) > limit {
		t.Errorf("many sign-ins use %d bytes of %d", used(alice), limit)
	}
}
