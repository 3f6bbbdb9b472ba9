package importer

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluicehq/sluice/internal/errs"
)

func TestBatchesKeepOrderOfKeysAndBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 5).Draw(t, "most")
		came := rapid.SliceOf(rapid.IntRange(0, 3)).Draw(t, "keys")
		want, got := map[string][]int{}, map[string][]int{}
		b := newBatches(most, func(_ context.Context, key string, rows []int) error {
			if len(rows) == 0 || len(rows) > most {
				t.Fatalf("a batch of %d rows", len(rows))
			}
			got[key] = append(got[key], rows...)
			return nil
		})
		for i, n := range came {
			key := strconv.Itoa(n)
			want[key] = append(want[key], i)
			if err := b.add(t.Context(), key, i); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.flush(t.Context()); err != nil || b.buffered != 0 {
			t.Fatalf("%d rows held, %v", b.buffered, err)
		}
		for key, rows := range want {
			if !slices.Equal(got[key], rows) {
				t.Fatalf("of %s came %v, want %v", key, got[key], rows)
			}
		}
	})
}

func TestBatchesAtBoundSendOldestFirst(t *testing.T) {
	t.Parallel()
	var sent []string
	b := newBatches(maxBuffered, func(_ context.Context, key string, rows []int) error {
		sent = append(sent, key+" "+strconv.Itoa(len(rows)))
		return nil
	})
	for i := range maxBuffered + 1 {
		key := "old"
		if i%2 == 1 {
			key = "young"
		}
		if err := b.add(t.Context(), key, i); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"old 10000"}; !slices.Equal(sent, want) || b.buffered != maxBuffered/2+1 {
		t.Errorf("sent %v, held %d, want %v", sent, b.buffered, want)
	}
}

func TestHalveDropsOnlyInvalidRows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.IntRange(-3, 30), 1, 50).Draw(t, "rows")
		var sent, refused []int
		err := halve(rows, func(part []int) error {
			if slices.Min(part) < 0 {
				return errs.Invalid("rows", "one is negative")
			}
			sent = append(sent, part...)
			return nil
		}, func(part []int, _ string) { refused = append(refused, part...) })
		if err != nil {
			t.Fatal(err)
		}
		bad := func(n int) bool { return n < 0 }
		if good := slices.DeleteFunc(slices.Clone(rows), bad); !slices.Equal(sent, good) {
			t.Fatalf("sent %v of %v", sent, rows)
		}
		if len(refused) != len(rows)-len(sent) || slices.ContainsFunc(refused, func(n int) bool { return n >= 0 }) {
			t.Fatalf("refused %v of %v", refused, rows)
		}
	})
}

func TestHalveReturnsErrorsOfService(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err     *errs.Error
		refusal bool
	}{
		{errs.New(errs.FailedPrecondition, "IMPORT_MISMATCH", ""), true},
		{errs.New(errs.NotFound, errs.ReasonNotFound, ""), true},
		{errs.New(errs.ResourceExhausted, "TRACK_FULL", ""), true},
		{&errs.Error{Code: errs.ResourceExhausted, RetryAfter: 1}, false},
		{errs.New(errs.Unavailable, errs.ReasonServiceDown, ""), false},
		{errs.New(errs.PermissionDenied, errs.ReasonNotAllowed, ""), false},
		{errs.New(errs.Internal, errs.ReasonInternal, ""), false},
	}
	for _, tt := range tests {
		refused := 0
		err := halve([]int{1, 2}, func([]int) error { return tt.err }, func(part []int, _ string) { refused += len(part) })
		if tt.refusal != (err == nil) || tt.refusal != (refused == 2) || err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: error %v, %d rows refused", tt.err.Code, err, refused)
		}
	}
}

func TestReportStoresAtMostThousandFaults(t *testing.T) {
	t.Parallel()
	var one, all Report
	for i := range 700 {
		one.fault(Fault{Line: i})
	}
	all.join(one)
	all.join(one)
	if len(all.Faults) != maxFaults {
		t.Errorf("%d faults kept", len(all.Faults))
	}
}
