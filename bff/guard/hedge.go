package guard

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// hedged makes a call, and when that is late a second one beside it; the first answer counts, and the
// other call is ended before it is given.
func (c *Conn) hedged(ctx context.Context, method string, request, reply any, options []grpc.CallOption) error {
	late := c.methods.of(method).late()
	message, ok := reply.(proto.Message)
	if late == 0 || !ok {
		return c.attempt(ctx, method, request, reply, options)
	}
	replyType := message.ProtoReflect().Type() // read now: the first call resets the reply while the timer runs
	first, giveUp := context.WithCancel(ctx)
	defer giveUp()
	second := &second{ended: make(chan struct{})}
	secondCtx, end := context.WithCancel(ctx)
	defer end()
	timer := time.AfterFunc(max(late+late/4, leastLate), func() {
		defer close(second.ended)
		if c.Open() || !c.spare.spend() {
			return
		}
		c.options.Metrics.countExtra(c.options.Service, "hedge")
		second.reply = replyType.New().Interface()
		if second.answered = c.attempt(secondCtx, method, request, second.reply, options) == nil; second.answered {
			giveUp()
		}
	})
	err := c.attempt(first, method, request, reply, options)
	if timer.Stop() {
		return err
	}
	if err == nil {
		end()
	}
	<-second.ended
	if err == nil || !second.answered {
		return err
	}
	proto.Reset(message)
	proto.Merge(message, second.reply)
	return nil
}

// second is a call beside a late one. Whoever waits for its end may read it.
type second struct {
	ended    chan struct{}
	reply    proto.Message
	answered bool
}
