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
	"github.com/sluicehq/sluice/internal/worker"
)

// table records deletes.
type table struct {
	rows  int64
	asked []string // the times
	sizes []int
}

func (h *table) delete(_ context.Context, before time.Time, most int) (int64, error) {
	h.asked, h.sizes = append(h.asked, before.Format("15:04")), append(h.sizes, most)
	n := min(h.rows, int64(most))
	h.rows -= n
	return n, nil
}

func sweep(t *testing.T, task retention.Task) {
	t.Helper()
	if err := retention.New(noon(), slog.New(slog.DiscardHandler), task).Sweep(t.Context()); err != nil {
		t.Error(err)
	}
}

func noon() *clock.Manual { return clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) }

func TestAfterManyExpiredRowsDeletesInBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &table{rows: 1_200}
		sweep(t, retention.After("rows", 2*time.Hour, h.delete))
		if h.rows != 0 || len(h.asked) != 4 || h.asked[0] != "10:00" || slices.Max(h.sizes) > 500 {
			t.Errorf("%d are left after %v, %v", h.rows, h.asked, h.sizes)
		}
	})
}

func TestSweepTooManyRowsStopsAtLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &table{rows: 1 << 40}
		sweep(t, retention.After("rows", time.Hour, h.delete))
		if len(h.asked) != 200 {
			t.Errorf("%d parts in one sweep", len(h.asked))
		}
	})
}

func TestAfterZeroTTLDeletesNothing(t *testing.T) {
	t.Parallel()
	h := &table{rows: 5}
	sweep(t, retention.After("rows", 0, h.delete))
	if h.rows != 5 {
		t.Errorf("%d are left", h.rows)
	}
}

func TestSweepTaskFailsRunsTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, log := &table{rows: 5}, &bytes.Buffer{}
		broken := func(context.Context, time.Time, int) (int64, error) { return 0, errors.New("the disk is away") }
		err := retention.New(noon(), slog.New(slog.NewTextHandler(log, nil)),
			retention.After("stones", time.Hour, broken), retention.After("rows", time.Hour, h.delete)).Sweep(t.Context())
		if h.rows != 0 || err == nil || !strings.Contains(log.String(), "stones") || !strings.Contains(log.String(), "the disk is away") {
			t.Errorf("%d are left; the log is %s", h.rows, log)
		}
	})
}

func TestRoundRobinMoreEntitiesThanPerSweepContinuesAtNextSweep(t *testing.T) {
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
		s := retention.New(noon(), slog.New(slog.DiscardHandler), retention.RoundRobin("letters", 2, next, do))
		for range 4 {
			if err := s.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			seen = append(seen, "|")
		}
		if got := fmt.Sprint(seen); got != "[a b b b | c d | e | a b |]" {
			t.Errorf("visits are %s", got)
		}
	})
}

func TestSweeperStoppedEndsItsPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &table{rows: 1 << 40}
		sweeper := retention.New(noon(), slog.New(slog.DiscardHandler), retention.After("rows", time.Hour, h.delete))
		w := worker.New(sweeper.Loop("retention"), worker.Options{})
		w.Start(t.Context())
		time.Sleep(25 * time.Minute)
		synctest.Wait()
		if len(h.asked) != 3*200 {
			t.Errorf("%d batches within 25 minutes", len(h.asked))
		}
		if err := w.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
