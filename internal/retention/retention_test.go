package retention_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/retention"
)

// heap is rows that are forgotten in parts.
type heap struct {
	rows  int64
	asked []string // the times
	sizes []int
}

func (h *heap) forget(_ context.Context, before time.Time, most int) (int64, error) {
	h.asked, h.sizes = append(h.asked, before.Format("15:04")), append(h.sizes, most)
	n := min(h.rows, int64(most))
	h.rows -= n
	return n, nil
}

func noon() *clock.Manual { return clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) }

func TestWhatIsOldGoesInParts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &heap{rows: 1_200}
		retention.New(noon(), slog.New(slog.DiscardHandler), retention.After("rows", 2*time.Hour, h.forget)).Sweep(t.Context())
		if h.rows != 0 || len(h.asked) != 4 || h.asked[0] != "10:00" || slices.Max(h.sizes) > 500 {
			t.Errorf("%d are left after %v, %v", h.rows, h.asked, h.sizes)
		}
	})
}

func TestASweepIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &heap{rows: 1 << 40}
		retention.New(noon(), slog.New(slog.DiscardHandler), retention.After("rows", time.Hour, h.forget)).Sweep(t.Context())
		if len(h.asked) != 200 {
			t.Errorf("%d parts in one sweep", len(h.asked))
		}
	})
}

func TestWhatIsForEverStays(t *testing.T) {
	t.Parallel()
	h := &heap{rows: 5}
	retention.New(noon(), slog.New(slog.DiscardHandler), retention.After("rows", 0, h.forget)).Sweep(t.Context())
	if h.rows != 5 {
		t.Errorf("%d are left", h.rows)
	}
}

func TestATaskThatFailsDoesNotKeepTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, log := &heap{rows: 5}, &bytes.Buffer{}
		broken := func(context.Context, time.Time, int) (int64, error) { return 0, errors.New("the disk is away") }
		retention.New(noon(), slog.New(slog.NewTextHandler(log, nil)),
			retention.After("stones", time.Hour, broken), retention.After("rows", time.Hour, h.forget)).Sweep(t.Context())
		if h.rows != 0 || !strings.Contains(log.String(), "stones") || !strings.Contains(log.String(), "the disk is away") {
			t.Errorf("%d are left; told %s", h.rows, log)
		}
	})
}

func TestThingsHaveTheirTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all, seen := []string{"a", "b", "c", "d", "e"}, []string{}
		next := func(_ context.Context, after string, limit int) ([]string, error) {
			at, found := slices.BinarySearch(all, after)
			if found {
				at++
			}
			return all[at:min(at+limit, len(all))], nil
		}
		left := map[string]int64{"b": 600}
		do := func(_ context.Context, id string, most int) (int64, error) {
			seen = append(seen, id)
			n := min(left[id], int64(most))
			left[id] -= n
			return n, nil
		}
		s := retention.New(noon(), slog.New(slog.DiscardHandler), retention.Turns("letters", 2, next, do))
		for range 4 {
			s.Sweep(t.Context())
			seen = append(seen, "|")
		}
		if got := fmt.Sprint(seen); got != "[a b b b | c d | e | a b |]" {
			t.Errorf("turns are %s", got)
		}
	})
}

func TestTheSweeperIsStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &heap{rows: 1 << 40}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- retention.New(noon(), slog.New(slog.DiscardHandler), retention.After("rows", time.Hour, h.forget)).Run(ctx)
		}()
		time.Sleep(25 * time.Minute)
		synctest.Wait()
		if len(h.asked) != 3*200 {
			t.Errorf("%d parts within 25 minutes", len(h.asked))
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
