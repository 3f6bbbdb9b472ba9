package idempotency_test

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/idempotency"
)

func TestKeysOfDifferentCallersMethodsAndInputsDiffer(t *testing.T) {
	t.Parallel()
	alice := caller.NewContext(t.Context(), caller.Caller{AccountID: "account_1", Role: caller.Member})
	bob := caller.NewContext(t.Context(), caller.Caller{AccountID: "account_2", Role: caller.Member})
	first, err := idempotency.NewKey(alice, "k", "CreateJob", []byte("in"))
	if err != nil || first.Zero() {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, _ := idempotency.NewKey(alice, "k", "CreateJob", []byte("in")); again != first {
		t.Error("a repeat has another key")
	}
	if other, _ := idempotency.NewKey(bob, "k", "CreateJob", []byte("in")); other.Caller == first.Caller {
		t.Error("two callers share a key")
	}
	for _, c := range []struct{ method, input string }{{"StartTrip", "in"}, {"CreateJob", "other"}, {"CreateJo", "bin"}} {
		if other, _ := idempotency.NewKey(alice, "k", c.method, []byte(c.input)); other.Fingerprint == first.Fingerprint {
			t.Errorf("%s(%s) looks like a repeat", c.method, c.input)
		}
	}
}

func TestWhatIsNoKey(t *testing.T) {
	t.Parallel()
	if key, err := idempotency.NewKey(t.Context(), "", "m", nil); err != nil || !key.Zero() {
		t.Errorf("no key: %+v, %v", key, err)
	}
	for _, value := range []string{strings.Repeat("k", idempotency.MaxKeyLength+1), "a\x00b", "a\nb", "\xff"} {
		if _, err := idempotency.NewKey(t.Context(), value, "m", nil); err == nil {
			t.Errorf("%q passes", value)
		}
	}
}
