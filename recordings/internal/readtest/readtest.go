// Package readtest tests the promises of readers, with the real recordings and with long generated streams.
package readtest

import (
	"errors"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/recordings"
)

// Data returns a file of testdata/, for packages two folders below the root.
func Data(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// All returns the good rows, the faults and the fatal error. A value after a fatal error fails the test.
func All[T any](t testing.TB, rows iter.Seq2[T, error]) (good []T, faults []recordings.Fault, fatal error) {
	t.Helper()
	for row, err := range rows {
		if fatal != nil {
			t.Fatalf("the reader went on after %v", fatal)
		}
		var fault recordings.Fault
		switch {
		case err == nil:
			good = append(good, row)
		case errors.As(err, &fault):
			faults = append(faults, fault)
		default:
			fatal = err
		}
	}
	return good, faults, fatal
}

// MustRead reads rows without a fault and without an error.
func MustRead[T any](t testing.TB, rows iter.Seq2[T, error]) []T {
	t.Helper()
	good, faults, fatal := All(t, rows)
	if len(faults) > 0 || fatal != nil {
		t.Fatalf("faults %v, error %v", faults, fatal)
	}
	return good
}

// RequireFaults compares faults by their line and by a part of their reason.
func RequireFaults(t testing.TB, got []recordings.Fault, want ...recordings.Fault) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("faults %v, want %v", got, want)
	}
	for i, w := range want {
		if got[i].Line != w.Line || !strings.Contains(got[i].Reason, w.Reason) {
			t.Errorf("fault %d: %v, want %v", i, got[i], w)
		}
	}
}

// RequireError checks that the error contains all parts.
func RequireError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one about %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q, want it to say %q", err, p)
		}
	}
}

// Stream returns head, then row(0) to row(n-1), then tail, generated during reading.
func Stream(head string, n int, row func(i int) string, tail string) io.Reader {
	return &stream{left: head, rows: n, row: row, tail: tail}
}

type stream struct {
	left    string
	i, rows int
	row     func(int) string
	tail    string
}

func (s *stream) Read(p []byte) (int, error) {
	for s.left == "" {
		switch {
		case s.i < s.rows:
			s.left = s.row(s.i)
		case s.i == s.rows:
			s.left = s.tail
		default:
			return 0, io.EOF
		}
		s.i++
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

// RequireConstantMemory reads 10,000 and 100,000 rows. It fails if the peak of live memory of the second run exceeds
// that of the first by more than a half and 1 MiB.
func RequireConstantMemory[T any](t *testing.T, read func(rows int) iter.Seq2[T, error]) {
	t.Helper()
	few, many := peakHeap(t, read(10_000), 10_000), peakHeap(t, read(100_000), 100_000)
	t.Logf("live heap at its peak: %d KiB at 10,000 rows, %d KiB at 100,000", few>>10, many>>10)
	if many > few+few/2+1<<20 {
		t.Errorf("live heap grows with the file: %d bytes at 10,000 rows, %d at 100,000", few, many)
	}
}

func peakHeap[T any](t *testing.T, rows iter.Seq2[T, error], want int) uint64 {
	t.Helper()
	before, peak, n := liveHeap(), uint64(0), 0
	for _, err := range rows {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n%(want/20) == 0 {
			peak = max(peak, liveHeap())
		}
	}
	if n != want {
		t.Fatalf("%d rows, want %d", n, want)
	}
	return peak - min(peak, before)
}

func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// RequireValid fails on values that no reader may yield.
func RequireValid(t testing.TB, f recordings.Fix) {
	t.Helper()
	bad := func(v, most float64) bool { return math.IsNaN(v) || math.Abs(v) > most }
	if bad(f.Latitude, 90) || bad(f.Longitude, 180) || f.At.IsZero() || f.Trip == "" || f.Line < 1 {
		t.Errorf("a reader yielded %+v", f)
	}
}
