package live

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/bff/quota"
	"github.com/sluicehq/sluice/gateway/live/frame"
	"github.com/sluicehq/sluice/gateway/live/protocol"
	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/obs"
)

// connection is a WebSocket. While the client says nothing, it is a goroutine of the smallest stack that
// waits; what the client says is handled on a larger one, which does not come back to waiting. Whoever
// has something to say to the client writes to its socket.
type connection struct {
	dialect *protocol.Dialect // what a delivery looks at comes first
	deflate bool              // large messages are compressed
	frame.Writer
	hub       *Hub
	shard     *shard
	executor  graphql.GraphExecutor
	websocket *websocket.Conn
	buffered  *bufio.Reader // what the WebSocket reads from
	requestID string
	remote    netip.Addr
	opened    time.Time

	heard   atomic.Int64 // unix nanoseconds
	pinged  int64        // unix seconds; used by the shard
	code    atomic.Int32 // it was closed with
	expires atomic.Int64 // unix seconds; 0 for never
	greeted atomic.Bool  // connection_init was acknowledged

	// These are used by run only.
	who     caller.Caller
	started bool   // connection_init has come
	release func() // of the caller's connections

	mu        sync.Mutex
	running   []running
	departing *frame.Close // what it ends with when no query is running any more
	session   string       // or API key
}

// run reads what has come, and goes back to waiting on a fresh stack: stacks that have grown stay
// grown. The last one leaves nothing behind.
func (c *connection) run() {
	ended := true
	defer func() {
		if p := recover(); p != nil {
			c.hub.logger.Error("panic in a connection", "panic", fmt.Sprint(p))
			c.bye(frame.Close{Code: frame.CloseInternal, Reason: "something went wrong on our side"})
		}
		if ended {
			c.leave()
		}
	}()
	for more := true; more; more = c.buffered.Buffered() > 0 {
		if err := c.next(); err != nil {
			c.explain(err)
			return
		}
	}
	ended = false
	go c.wait()
}

// wait waits until the client says something, and keeps what it needs for it small.
func (c *connection) wait() {
	c.AwaitReadable()
	c.run()
}

// next reads and handles one message.
func (c *connection) next() error {
	text, err := c.receive()
	if err != nil {
		return err
	}
	c.heard.Store(time.Now().UnixNano())
	if c.code.Load() == 0 { // else the client has not seen yet that we are closing
		if problem := c.handle(text); problem != nil {
			c.bye(*problem)
		}
	}
	putBuffer(text)
	return nil
}

// explain remembers how the connection ended, if it was not us. A client that was told of a fault in
// mid-message is given time to read that: closing at once, with bytes unread, would reset the connection.
func (c *connection) explain(err error) {
	if e, ok := errors.AsType[*websocket.CloseError](err); ok {
		c.code.CompareAndSwap(0, int32(e.Code))
		return
	}
	if errors.Is(err, websocket.ErrReadLimit) {
		c.bye(tooLarge()) // which gorilla has said, unless the length is none
	}
	if c.IsClosing() && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.code.CompareAndSwap(0, frame.CloseProtocol) // as gorilla has told the client
		c.Linger()
	}
}

// leave takes the connection down. What was queued before a close is given its time by receive, which
// goes on until the client closes too or a deadline ends it.
func (c *connection) leave() {
	c.Abort()
	c.mu.Lock()
	operations := c.running
	c.running = nil
	c.mu.Unlock()
	for _, r := range operations {
		c.finish(r, "connection")
	}
	c.Writer.Wait()
	c.shard.post(item{exit: c})
	if c.release != nil {
		c.release()
	}
	c.hub.metrics.disconnected("websocket", int(c.code.Load()))
	c.hub.work.Done()
}

// handle does what the message asks; the answer says why the connection has to end.
func (c *connection) handle(text []byte) *frame.Close {
	m, err := c.dialect.Decode(text)
	if err != nil {
		return &frame.Close{Code: frame.CloseBadRequest, Reason: err.Error()}
	}
	switch m.Kind {
	case protocol.Init:
		return c.init(m)
	case protocol.Ping:
		return c.ping(m)
	case protocol.Subscribe:
		return c.subscribe(m)
	case protocol.Complete:
		c.complete(m.ID)
	case protocol.Terminate:
		return &frame.Close{Code: frame.CloseNormal, Reason: "terminated"}
	}
	return nil
}

// init finds out who is calling.
func (c *connection) init(m protocol.Message) *frame.Close {
	if c.started {
		return &frame.Close{Code: frame.CloseSecondInit, Reason: "Too many initialisation requests"}
	}
	c.started = true
	credentials, err := protocol.Credentials(m.Payload)
	if err == nil && credentials != (auth.Credentials{}) {
		c.who, err = c.hub.identify(c.context(), credentials)
		c.expires.Store(unix(c.who.ExpiresAt))
	}
	if err != nil {
		return c.refused(err)
	}
	if c.release, err = c.hub.admit(c.context()); err != nil {
		return c.refused(err)
	}
	c.mu.Lock()
	c.session = credentialOf(c.who)
	c.mu.Unlock()
	if c.hub.wasRevoked(credentialOf(c.who)) {
		return revoked()
	}
	c.greeted.Store(true)
	if !c.Reply(protocol.Encode("connection_ack", "", encoded(map[string]any{"cursor": c.hub.source.Cursor()}))) {
		return flooded()
	}
	if c.dialect.Alive != "" {
		c.Reply(frame.Text([]byte(c.dialect.Alive)))
	}
	return nil
}

// refused says why the caller is not let in. What may be otherwise in a while says so.
func (c *connection) refused(err error) *frame.Close {
	e := errs.From(err)
	if c.dialect.Alive != "" {
		c.Reply(protocol.Encode("connection_error", "", encoded(graph.Public(c.context(), e))))
	}
	switch e.Code {
	case errs.Unauthenticated, errs.PermissionDenied:
		return &frame.Close{Code: frame.CloseForbidden, Reason: e.Message}
	case errs.InvalidArgument:
		return &frame.Close{Code: frame.CloseBadRequest, Reason: e.Message}
	case errs.Internal:
		c.hub.logger.Error("a connection was refused", "error", err.Error())
		return &frame.Close{Code: frame.CloseInternal, Reason: e.Message}
	}
	return &frame.Close{Code: frame.CloseTryAgain, Reason: e.Message}
}

// ping is answered. One that presents credentials renews those of the connection; they have to be of
// the same caller, with the same rights.
func (c *connection) ping(m protocol.Message) *frame.Close {
	payload := m.Payload
	credentials, err := protocol.Credentials(m.Payload)
	if err != nil || credentials != (auth.Credentials{}) {
		if !c.greeted.Load() {
			return &frame.Close{Code: frame.CloseUnauthorized, Reason: "Unauthorized"}
		}
		if err := c.renew(credentials, err); err != nil {
			return c.refused(err)
		}
		payload = encoded(map[string]any{"expiresAt": expiry(c.who)})
	}
	if !c.Reply(protocol.Encode("pong", "", payload)) {
		return flooded()
	}
	return nil
}

// expiry is when the caller's credentials expire, as it is told; nil for never.
func expiry(who caller.Caller) *time.Time {
	if who.ExpiresAt.IsZero() {
		return nil
	}
	return new(who.ExpiresAt.UTC().Truncate(time.Second))
}

func (c *connection) renew(credentials auth.Credentials, err error) error {
	if err != nil {
		return err
	}
	who, err := c.hub.identify(c.context(), credentials)
	if err != nil {
		return err
	}
	if who.Name() != c.who.Name() || visibilityOf(who).key() != visibilityOf(c.who).key() {
		return errs.Denied("these are the credentials of another caller, or with other rights: connect anew")
	}
	c.who = who
	c.expires.Store(unix(who.ExpiresAt))
	c.mu.Lock()
	c.session = credentialOf(who)
	c.mu.Unlock()
	if c.hub.wasRevoked(credentialOf(who)) {
		return errs.New(errs.Unauthenticated, "TOKEN_INVALID", "the credentials were revoked")
	}
	return nil
}

func revoked() *frame.Close {
	return &frame.Close{Code: frame.CloseForbidden, Reason: "the credentials were revoked"}
}

func flooded() *frame.Close {
	return &frame.Close{Code: frame.ClosePolicy, Reason: "read the answers before you ask for more"}
}

// context is that of an operation of this connection.
func (c *connection) context() context.Context {
	ctx := quota.From(obs.WithRequestID(c.hub.ctx, c.requestID), c.remote)
	return graphql.StartOperationTrace(caller.NewContext(ctx, c.who))
}

// identify tells who presents the credentials, within a bounded time. It asks as nobody: what does not hold
// is held against where it comes from, not against who the connection is so far.
func (h *Hub) identify(ctx context.Context, credentials auth.Credentials) (caller.Caller, error) {
	ctx, cancel := context.WithTimeout(caller.NewContext(ctx, caller.Caller{}), h.settings.RequestTimeout)
	defer cancel()
	return h.auth.Caller(ctx, credentials)
}

func credentialOf(who caller.Caller) string {
	if who.APIKeyID != "" {
		return who.APIKeyID
	}
	return who.SessionID
}

func unix(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}

// appendNext adds the frame of a message with an answer, compressed if that was agreed and is worth it.
func (c *connection) appendNext(b []byte, id string, payload []byte) []byte {
	if c.deflate && len(payload) >= frame.CompressFrom {
		return frame.AppendCompressed(b, c.dialect.AppendNext(nil, id, payload))
	}
	return c.dialect.AppendNext(b, id, payload)
}

// offer is sink.
func (c *connection) offer(m *member, answers []*answer) (taken int) {
	b, ends := m.shard.scratch[:0], m.shard.ends[:0]
	for _, a := range answers {
		b = c.appendNext(b, m.id, a.payload)
		ends = append(ends, len(b))
	}
	m.shard.scratch, m.shard.ends = b, ends
	taken = c.Writer.Offer(b, ends)
	m.shard.tally.add(answers[:taken]...)
	return taken
}

// push is sink.
func (c *connection) push(m *member, a *answer) bool {
	if !c.Writer.Push(c.appendNext(nil, m.id, a.payload), m.ended.Load) {
		return false
	}
	c.hub.metrics.messages.Inc()
	return true
}

// bye is client.
func (c *connection) bye(why frame.Close) {
	c.code.CompareAndSwap(0, int32(why.Code))
	c.Writer.Close(why.Frame())
}

// holds is client.
func (c *connection) holds(credential string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session == credential
}

// look is client.
func (c *connection) look(now time.Time) {
	s := c.hub.settings
	silent := now.Sub(time.Unix(0, c.heard.Load()))
	switch expires := c.expires.Load(); {
	case c.code.Load() != 0:
	case !c.greeted.Load() && now.Sub(c.opened) >= s.InitTimeout:
		c.bye(frame.Close{Code: frame.CloseInitTimeout, Reason: "Connection initialisation timeout"})
	case expires != 0 && c.hub.clock.Now().Unix() >= expires:
		c.bye(frame.Close{Code: frame.CloseForbidden, Reason: "the credentials have expired"})
	case silent >= s.IdleTimeout:
		c.bye(frame.Close{Code: frame.CloseGoingAway, Reason: "no sign of life"})
	case c.greeted.Load() && silent >= s.KeepAlive && now.Unix()-c.pinged >= int64(s.KeepAlive/time.Second):
		c.pinged = now.Unix()
		c.Reply(frame.Ping())
		if c.dialect.Alive != "" {
			c.Reply(frame.Text([]byte(c.dialect.Alive)))
		}
	}
}

// cut is client.
func (c *connection) cut() { c.Abort() }
