package guard_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff/guard"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
)

// echo is a service that replies with the version of the request after a time.
type echo struct {
	takes func() time.Duration
	mu    sync.Mutex
	calls int
}

func (s *echo) Invoke(ctx context.Context, _ string, request, reply any, _ ...grpc.CallOption) error {
	s.mu.Lock()
	s.calls++
	s.mu.Unlock()
	if took := s.takes(); took > 0 {
		select {
		case <-time.After(took):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	reply.(*tripv1.Trip).Version = request.(*tripv1.Trip).GetVersion()
	return nil
}

func (s *echo) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, context.Canceled
}

// A hedge is reused for other calls: each call still gets the reply to its own request.
func TestConnConcurrentHedgesReplyToTheirOwnRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := &echo{takes: func() time.Duration {
			if rand.IntN(10) == 0 {
				return time.Duration(50+rand.IntN(100)) * time.Millisecond
			}
			return time.Duration(5+rand.IntN(5)) * time.Millisecond
		}}
		o := options()
		o.Hedge = true
		conn := guard.Wrap(service, o)
		const clients, each = 20, 200
		var running sync.WaitGroup
		for client := range int64(clients) {
			running.Go(func() {
				for i := range int64(each) {
					want, reply := client*each+i+1, &tripv1.Trip{}
					if err := conn.Invoke(t.Context(), read, &tripv1.Trip{Version: want}, reply); err != nil || reply.GetVersion() != want {
						t.Errorf("the reply is %d, %v, want %d", reply.GetVersion(), err, want)
					}
				}
			})
		}
		running.Wait()
		if extra := service.calls - clients*each; extra < 50 {
			t.Errorf("%d calls were hedged: this test shows nothing", extra)
		}
	})
}

// A call that is not late starts no second call, so hedging costs it no goroutine, no context and no channel.
func TestConnHedgingInTimeAllocatesNothing(t *testing.T) {
	service := &echo{takes: func() time.Duration { return 0 }}
	allocations := map[bool]float64{}
	for _, hedge := range []bool{false, true} {
		o := options()
		o.Hedge, o.Timeout = hedge, time.Minute
		conn := guard.Wrap(service, o)
		request, reply := &tripv1.Trip{}, &tripv1.Trip{}
		allocations[hedge] = testing.AllocsPerRun(1000, func() {
			if err := conn.Invoke(t.Context(), read, request, reply); err != nil {
				t.Fatal(err)
			}
		})
	}
	if allocations[true] > allocations[false] {
		t.Errorf("a call takes %.0f allocations with hedging, %.0f without", allocations[true], allocations[false])
	}
	if allocations[false] > 6 {
		t.Errorf("a guarded call takes %.0f allocations", allocations[false])
	}
}
