package cache

import (
	"testing"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
)

func TestResponseKeyDiffersByDeniedFields(t *testing.T) {
	t.Parallel()
	all, _ := responseKey(bff.ResponseKey{}, caller.Caller{})
	some, known := responseKey(bff.ResponseKey{Denied: "Query.jobs"}, caller.Caller{})
	if !known || all == some {
		t.Error("callers with and without a scope share a public response")
	}
}
