package guard

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// hedged executes a call, and a second one beside it when the first is late. The first successful reply wins, and the
// other call is cancelled and ends before hedged returns.
func (c *Conn) hedged(ctx context.Context, method string, request, reply any, options []grpc.CallOption) error {
	late := c.latencies.of(method).late()
	message, ok := reply.(proto.Message)
	if late == 0 || !ok {
		return c.attempt(ctx, method, request, reply, options)
	}
	replyType := message.ProtoReflect().Type() // read now: the first call resets the reply while the timer runs
	firstCtx, cancelFirst := context.WithCancel(ctx)
	defer cancelFirst()
	hedgeCtx, cancelHedge := context.WithCancel(ctx)
	defer cancelHedge()
	second := &hedge{done: make(chan struct{})}
	timer := time.AfterFunc(max(late+late/4, minHedgeDelay), func() {
		defer close(second.done)
		if c.IsOpen() || !c.budget.withdraw() {
			return
		}
		c.options.Metrics.countExtra(c.options.Service, "hedge")
		second.reply = replyType.New().Interface()
		if second.succeeded = c.attempt(hedgeCtx, method, request, second.reply, options) == nil; second.succeeded {
			cancelFirst()
		}
	})
	err := c.attempt(firstCtx, method, request, reply, options)
	if timer.Stop() {
		return err
	}
	if err == nil {
		cancelHedge()
	}
	<-second.done
	if err == nil || !second.succeeded {
		return err
	}
	proto.Reset(message)
	proto.Merge(message, second.reply)
	return nil
}

// hedge is the second call. Its other fields may be read after done is closed.
type hedge struct {
	done      chan struct{}
	reply     proto.Message
	succeeded bool
}
