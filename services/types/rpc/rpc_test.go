package rpc_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/page"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
	"github.com/sluicehq/sluice/services/types/rpc"
)

func TestPagesCross(t *testing.T) {
	t.Parallel()
	total := int64(9)
	for _, want := range []page.Request{{}, {First: 3, After: "c", WithTotal: true}} {
		m := &typesv1.PageRequest{First: int32(want.First), After: want.After, WithTotal: want.WithTotal}
		if got := rpc.PageRequest(m); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if got := rpc.PageRequest(nil); got != (page.Request{}) {
		t.Errorf("no request is %+v", got)
	}
	info := rpc.PageInfo(page.Page[int]{Items: []int{1}, Cursors: []string{"c"}, HasNext: true, Total: &total})
	if !slices.Equal(info.GetCursors(), []string{"c"}) || !info.GetHasNext() || info.GetTotal() != total {
		t.Errorf("got %v", info)
	}
	if info := rpc.PageInfo(page.Page[int]{}); info.Total != nil {
		t.Errorf("a total that was not asked for: %v", info)
	}
	if got := rpc.Each([]int{1, 2}, strconv.Itoa); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("got %v", got)
	}
}

func TestTimesCross(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 5, 1, 12, 0, 0, 1_000, time.UTC)
	written := rpc.Timestamp(&noon)
	if at, err := rpc.Time("f", written); err != nil || at != noon {
		t.Errorf("got %v, %v, want %v", at, err, noon)
	}
	if at, err := rpc.OptionalTime("f", written); err != nil || *at != noon {
		t.Errorf("got %v, %v, want %v", at, err, noon)
	}
	if at, err := rpc.OptionalTime("f", rpc.Timestamp(nil)); err != nil || at != nil {
		t.Errorf("no time reads as %v, %v", at, err)
	}
}

func TestWhatIsNoTimeIsRefused(t *testing.T) {
	t.Parallel()
	never := &timestamppb.Timestamp{Nanos: -1}
	_, missing := rpc.Time("f", nil)
	_, invalid := rpc.Time("f", never)
	_, optional := rpc.OptionalTime("f", never)
	for err, want := range map[error]string{missing: "f: is missing", invalid: "f: is not a time", optional: "f: is not a time"} {
		if e := errs.From(err); e == nil || e.Code != errs.InvalidArgument || e.Message != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
