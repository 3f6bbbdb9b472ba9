package guard

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxHedgeLag is the lag of a hedge's timer above which no second call starts, because this process is short of CPU.
const maxHedgeLag = time.Millisecond

// call is a call to a service with the context of its caller.
type call struct {
	parent  context.Context // without the timeout of the call
	method  string
	request any
	reply   any
	options []grpc.CallOption
}

// hedged executes a call in ctx, and a second one beside it when the first is late. The first successful reply wins;
// the other call is cancelled and ends before hedged returns. cancel ends ctx.
func (c *Conn) hedged(ctx context.Context, cancel context.CancelFunc, m *method, first call) error {
	late := m.latency.percentile()
	message, ok := first.reply.(proto.Message)
	if late == 0 || !ok {
		return c.attempt(ctx, m, first)
	}
	h := c.idleHedge()
	defer c.hedges.Put(h)
	h.method, h.first, h.cancelFirst = m, first, cancel
	h.deadline, _ = ctx.Deadline()
	h.replyType = message.ProtoReflect().Type() // read now: the first call resets the reply later
	wait := max(late+late/4, minHedgeDelay)
	h.due = time.Now().Add(wait)
	h.timer.Reset(wait)
	err := c.attempt(ctx, m, first)
	if h.timer.Stop() {
		h.clear()
		return err
	}
	second, succeeded := h.end(err == nil)
	if err == nil || !succeeded {
		return err
	}
	proto.Reset(message)
	proto.Merge(message, second)
	return nil
}

// hedge is a second call, which its timer starts. It is reused: most timers are stopped before they fire.
type hedge struct {
	conn  *Conn
	timer *time.Timer
	done  chan struct{} // receives a value when the function of the timer has ended

	method      *method
	first       call
	cancelFirst context.CancelFunc
	replyType   protoreflect.MessageType
	due         time.Time
	deadline    time.Time

	mu        sync.Mutex
	cancelled bool               // the first call has succeeded
	cancel    context.CancelFunc // of the second call; nil until it starts

	reply     proto.Message // may be read after done
	succeeded bool
}

// idleHedge returns a hedge whose timer is stopped.
func (c *Conn) idleHedge() *hedge {
	if h, ok := c.hedges.Get().(*hedge); ok {
		return h
	}
	h := &hedge{conn: c, done: make(chan struct{}, 1)}
	h.timer = time.AfterFunc(time.Hour, h.run)
	h.timer.Stop()
	return h
}

// run executes the second call.
func (h *hedge) run() {
	defer func() { h.done <- struct{}{} }()
	c := h.conn
	if time.Since(h.due) > maxHedgeLag || isOpen(h.method.breaker) || !c.budget.withdraw() {
		return
	}
	ctx, cancel := context.WithDeadline(h.first.parent, h.deadline)
	defer cancel()
	h.mu.Lock()
	h.cancel = cancel
	cancelled := h.cancelled
	h.mu.Unlock()
	if cancelled {
		return
	}
	c.options.Metrics.countExtra(c.options.Service, "hedge")
	second := h.first
	h.reply = h.replyType.New().Interface()
	second.reply = h.reply
	if h.succeeded = c.attempt(ctx, h.method, second) == nil; h.succeeded {
		h.cancelFirst()
	}
}

// end waits for a started second call, and returns its result. It cancels the call first if the result is not needed.
func (h *hedge) end(cancel bool) (reply proto.Message, succeeded bool) {
	if cancel {
		h.mu.Lock()
		h.cancelled = true
		if h.cancel != nil {
			h.cancel()
		}
		h.mu.Unlock()
	}
	<-h.done
	reply, succeeded = h.reply, h.succeeded
	h.clear()
	return reply, succeeded
}

// clear drops what belongs to one call.
func (h *hedge) clear() {
	h.method, h.first, h.cancelFirst, h.replyType = nil, call{}, nil, nil
	h.cancelled, h.cancel, h.reply, h.succeeded = false, nil, nil, false
}
