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

// connection is a WebSocket. While the client is silent, its reader is parked on a goroutine with the smallest stack.
// Messages are handled on another goroutine with a larger stack. All write through the frame.Writer.
type connection struct {
	dialect *protocol.Dialect // first are the fields of a broadcast
	deflate bool              // first are the fields of a broadcast
	frame.Writer
	hub       *Hub
	shard     *shard
	executor  graphql.GraphExecutor
	websocket *websocket.Conn
	buffered  *bufio.Reader // of the WebSocket
	requestID string
	remote    netip.Addr
	opened    time.Time

	lastMessage  atomic.Int64 // or pong; Unix nanoseconds
	lastPing     int64        // Unix seconds; used by the shard
	code         atomic.Int32 // of the close frame; 0 while open
	expires      atomic.Int64 // Unix seconds; 0 for never
	acknowledged atomic.Bool  // connection_ack was sent

	// Only the reader uses the fields below.
	who          caller.Caller
	initReceived bool
	release      func() // of the caller's number of connections

	mu         sync.Mutex
	operations []activeOperation
	drainClose *frame.Close // the close frame after the last query; nil while not draining
	credential string       // the close frame after the last query; nil while not draining
	session    auth.Session
}

// park waits for a message of the client. Its frame is small, because connections are nearly always here.
func (c *connection) park() {
	c.AwaitReadable()
	c.serve()
}

// serve handles the messages that have arrived, and parks again on a new goroutine, because a grown stack stays
// large. After the last message it releases all resources.
func (c *connection) serve() {
	ended := true
	defer func() {
		if p := recover(); p != nil {
			c.hub.logger.Error("panic in a connection", "panic", fmt.Sprint(p))
			c.close(frame.Close{Code: frame.CloseInternal, Reason: "something went wrong on our side"})
		}
		if ended {
			c.teardown()
		}
	}()
	for more := true; more; more = c.buffered.Buffered() > 0 {
		if err := c.readMessage(); err != nil {
			c.recordEnd(err)
			return
		}
	}
	ended = false
	go c.park()
}

func (c *connection) readMessage() error {
	text, err := c.receive()
	if err != nil {
		return err
	}
	c.lastMessage.Store(time.Now().UnixNano())
	if c.code.Load() == 0 { // else the client has not read the close frame yet
		if why := c.handle(text); why != nil {
			c.close(*why)
		}
	}
	putBuffer(text)
	return nil
}

// recordEnd records the close code of the client. After a protocol error in the middle of a message it lingers, so
// that the client can read the error.
func (c *connection) recordEnd(err error) {
	if e, ok := errors.AsType[*websocket.CloseError](err); ok {
		c.code.CompareAndSwap(0, int32(e.Code))
		return
	}
	if errors.Is(err, websocket.ErrReadLimit) {
		c.close(frame.Close{Code: frame.CloseTooBig, Reason: "the message is too large"}) // gorilla has sent it, unless the length is invalid
	}
	if c.IsClosing() && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.code.CompareAndSwap(0, frame.CloseProtocol) // as gorilla has sent it
		c.Linger()
	}
}

// teardown ends the operations and releases the connection. After a close frame it reads on until the client closes
// too, or until a deadline.
func (c *connection) teardown() {
	c.Abort()
	c.mu.Lock()
	operations := c.operations
	c.operations = nil
	c.mu.Unlock()
	for _, o := range operations {
		c.finish(o, "connection")
	}
	c.Writer.Wait()
	c.shard.post(task{disconnect: c})
	if c.release != nil {
		c.release()
	}
	c.hub.metrics.disconnected("websocket", int(c.code.Load()))
	c.hub.work.Done()
}

// handle processes one message. It returns a reason to close the connection, or nil.
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

func (c *connection) init(m protocol.Message) *frame.Close {
	if c.initReceived {
		return &frame.Close{Code: frame.CloseSecondInit, Reason: "Too many initialisation requests"}
	}
	c.initReceived = true
	credentials, err := protocol.Credentials(m.Payload)
	if err == nil && credentials != (auth.Credentials{}) {
		c.who, err = c.hub.authenticate(c.context(), credentials)
		c.expires.Store(unix(c.who.ExpiresAt))
	}
	if err != nil {
		return c.refuse(err)
	}
	if c.release, err = c.hub.acquireConnection(c.context()); err != nil {
		return c.refuse(err)
	}
	if !c.useCredential() {
		return revoked()
	}
	c.acknowledged.Store(true)
	var ack []byte // without a cursor before the stream is joined
	if c.hub.source.Joined() {
		ack = encoded(map[string]any{"cursor": c.hub.source.Cursor()})
	}
	if !c.Reply(protocol.Encode("connection_ack", "", ack)) {
		return requestFlood()
	}
	if c.dialect.KeepAlive != "" {
		c.Reply(frame.Text([]byte(c.dialect.KeepAlive)))
	}
	return nil
}

// useCredential stores the credential of the caller, by which a revocation finds the connection. It returns false if
// the credential was revoked in the meantime.
func (c *connection) useCredential() bool {
	id := credentialOf(c.who)
	c.mu.Lock()
	c.credential, c.session = id, auth.SessionOf(c.who)
	c.mu.Unlock()
	c.watchSession()
	return !c.hub.wasRevoked(id)
}

// refuse returns the reason to close a connection whose caller is refused. A temporary error has a code for a retry.
func (c *connection) refuse(err error) *frame.Close {
	e := errs.From(err)
	if c.dialect.KeepAlive != "" {
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

// ping replies with a pong. A ping with credentials renews those of the connection.
func (c *connection) ping(m protocol.Message) *frame.Close {
	payload := m.Payload
	credentials, err := protocol.Credentials(m.Payload)
	if err != nil || credentials != (auth.Credentials{}) {
		if !c.acknowledged.Load() {
			return &frame.Close{Code: frame.CloseUnauthorized, Reason: "Unauthorized"}
		}
		if err == nil {
			err = c.renew(credentials)
		}
		if err != nil {
			return c.refuse(err)
		}
		var expiresAt *time.Time // null never expires
		if !c.who.ExpiresAt.IsZero() {
			expiresAt = new(c.who.ExpiresAt.UTC().Truncate(time.Second))
		}
		payload = encoded(map[string]any{"expiresAt": expiresAt})
	}
	if !c.Reply(protocol.Encode("pong", "", payload)) {
		return requestFlood()
	}
	return nil
}

// renew replaces the credentials by others of the same caller, with the same visibility.
func (c *connection) renew(credentials auth.Credentials) error {
	who, err := c.hub.authenticate(c.context(), credentials)
	if err != nil {
		return err
	}
	if who.Name() != c.who.Name() || visibilityOf(who).key() != visibilityOf(c.who).key() {
		return errs.Denied("these are the credentials of another caller, or with other rights: connect anew")
	}
	c.who = who
	c.expires.Store(unix(who.ExpiresAt))
	if !c.useCredential() {
		return errs.New(errs.Unauthenticated, "TOKEN_INVALID", "the credentials were revoked")
	}
	return nil
}

func revoked() *frame.Close {
	return &frame.Close{Code: frame.CloseForbidden, Reason: "the credentials were revoked"}
}

func requestFlood() *frame.Close {
	return &frame.Close{Code: frame.ClosePolicy, Reason: "read the responses before you send more requests"}
}

func (c *connection) context() context.Context {
	ctx := quota.From(obs.WithRequestID(c.hub.ctx, c.requestID), c.remote)
	return graphql.StartOperationTrace(caller.NewContext(ctx, c.who))
}

// authenticate verifies credentials within the request timeout, as an anonymous caller: invalid credentials count
// against the client's address, not the connection's caller.
func (h *Hub) authenticate(ctx context.Context, credentials auth.Credentials) (caller.Caller, error) {
	ctx, cancel := context.WithTimeout(caller.NewContext(ctx, caller.Caller{}), h.settings.RequestTimeout)
	defer cancel()
	return h.admission.Verify(ctx, func() (caller.Caller, error) { return h.auth.Caller(ctx, credentials) })
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

// appendNext appends the frame of a response, compressed if it is large and that was negotiated.
func (c *connection) appendNext(b []byte, id string, payload []byte) []byte {
	if c.deflate && len(payload) >= frame.CompressFrom {
		return frame.AppendCompressed(b, c.dialect.AppendNext(nil, id, payload))
	}
	return c.dialect.AppendNext(b, id, payload)
}

func (c *connection) offer(s *subscriber, results []*result) (accepted int) {
	b, ends := s.shard.buffer[:0], s.shard.ends[:0]
	for _, r := range results {
		b = c.appendNext(b, s.id, r.payload)
		ends = append(ends, len(b))
	}
	s.shard.buffer, s.shard.ends = b, ends
	accepted = c.Offer(b, ends)
	s.shard.tally.add(results[:accepted]...)
	return accepted
}

func (c *connection) push(s *subscriber, r *result) bool {
	if !c.Push(c.appendNext(nil, s.id, r.payload), s.ended.Load) {
		return false
	}
	c.hub.metrics.messages.Inc()
	return true
}

func (c *connection) close(why frame.Close) {
	c.code.CompareAndSwap(0, int32(why.Code))
	c.Close(why.Frame())
}

func (c *connection) abort() { c.Abort() }

func (c *connection) usesCredential(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.credential == id
}

func (c *connection) watchSession() {
	c.mu.Lock()
	session := c.session
	c.mu.Unlock()
	c.hub.auth.Watch(session)
}

func (c *connection) checkTimeouts(now time.Time) {
	c.watchSession()
	s := c.hub.settings
	idle := now.Sub(time.Unix(0, c.lastMessage.Load()))
	switch expires := c.expires.Load(); {
	case c.code.Load() != 0:
	case !c.acknowledged.Load() && now.Sub(c.opened) >= s.InitTimeout:
		c.close(frame.Close{Code: frame.CloseInitTimeout, Reason: "Connection initialisation timeout"})
	case expires != 0 && c.hub.clock.Now().Unix() >= expires:
		c.close(frame.Close{Code: frame.CloseForbidden, Reason: "the credentials have expired"})
	case idle >= s.IdleTimeout:
		c.close(frame.Close{Code: frame.CloseGoingAway, Reason: "idle timeout"})
	case c.acknowledged.Load() && idle >= s.KeepAlive && now.Unix()-c.lastPing >= int64(s.KeepAlive/time.Second):
		c.lastPing = now.Unix()
		c.Reply(frame.Ping())
		if c.dialect.KeepAlive != "" {
			c.Reply(frame.Text([]byte(c.dialect.KeepAlive)))
		}
	}
}
