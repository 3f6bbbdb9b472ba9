package live

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/gorilla/websocket"

	"github.com/sluicehq/sluice/gateway/live/frame"
	"github.com/sluicehq/sluice/gateway/live/protocol"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/obs"
)

// Refuse writes the error response to a request that is not admitted.
type Refuse func(w http.ResponseWriter, r *http.Request, err error)

// WebSocket returns the transport over a WebSocket. The caller is that of the request, unless connection_init has
// credentials.
func (h *Hub) WebSocket(refuse Refuse) graphql.Transport {
	return webSocket{hub: h, refuse: refuse}
}

type webSocket struct {
	hub    *Hub
	refuse Refuse
}

// Supports reports whether the request is an upgrade to WebSocket.
func (t webSocket) Supports(r *http.Request) bool { return websocket.IsWebSocketUpgrade(r) }

const (
	readBuffer  = 272 // gorilla ignores a given buffer of up to 256 bytes
	writeBuffer = 512 // never allocated: gorilla writes no data
)

// Do upgrades the request and returns. The connection continues on other goroutines, so the request's memory is
// released.
func (t webSocket) Do(w http.ResponseWriter, r *http.Request, executor graphql.GraphExecutor) {
	h := t.hub
	if err := h.checkCapacity(); err != nil {
		t.refuse(w, r, err)
		return
	}
	c := &connection{
		hub: h, shard: h.pick(), executor: executor, opened: time.Now(), remote: addressOf(r),
		requestID: obs.RequestID(r.Context()), who: caller.FromContext(r.Context()),
	}
	c.lastMessage.Store(c.opened.UnixNano())
	c.expires.Store(unix(c.who.ExpiresAt))
	upgrade := &upgradedConn{}
	upgrader := websocket.Upgrader{
		WriteBufferSize: writeBuffer, WriteBufferPool: noBuffers{}, // ReadBufferSize 0: the buffer of the hijacked connection
		EnableCompression: h.settings.Compression,
		Subprotocols:      []string{protocol.Subprotocol, protocol.LegacySubprotocol}, CheckOrigin: h.originAllowed, HandshakeTimeout: h.settings.InitTimeout,
		Error: t.refuseUpgrade,
	}
	upgraded, err := upgrader.Upgrade(&hijackWriter{ResponseWriter: w, conn: upgrade}, r, nil)
	if err != nil {
		return // refuseUpgrade has written the response
	}
	c.start(upgraded, upgrade)
}

func (t webSocket) refuseUpgrade(w http.ResponseWriter, r *http.Request, status int, reason error) {
	refusal := errs.New(errs.InvalidArgument, "REQUEST_MALFORMED", "%s", reason)
	switch status {
	case http.StatusForbidden:
		refusal = errs.New(errs.PermissionDenied, "CROSS_SITE_REFUSED", "pages of this origin may not call the API")
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodGet)
		refusal = errs.New(errs.InvalidArgument, "METHOD_NOT_ALLOWED", "a WebSocket starts with GET")
	case http.StatusInternalServerError:
		refusal = errs.New(errs.Internal, errs.ReasonInternal, "something went wrong on our side").Because(reason)
	}
	t.refuse(w, r, refusal)
}

// start serves an upgraded connection. Hub.Close waits for it until teardown, through all its goroutines.
func (c *connection) start(upgraded *websocket.Conn, conn *upgradedConn) {
	c.websocket, c.buffered, c.deflate = upgraded, conn.buffered, conn.deflate
	conn.buffered = nil
	c.Open(conn.Conn, c.hub.settings.QueueBytes, c.hub.settings.WriteTimeout, &c.hub.metrics.queued)
	conn.writer = &c.Writer
	upgraded.SetReadLimit(c.hub.settings.MaxMessage)
	upgraded.SetPongHandler(func(string) error {
		c.lastMessage.Store(time.Now().UnixNano())
		return nil
	})
	upgraded.SetPingHandler(func(payload string) error {
		c.lastMessage.Store(time.Now().UnixNano())
		if !c.Reply(frame.Pong([]byte(payload))) {
			c.close(*requestFlood())
		}
		return nil
	})
	c.hub.metrics.connected("websocket")
	c.dialect = protocol.Of(upgraded.Subprotocol())
	if c.dialect == nil {
		c.dialect = protocol.Of(protocol.Subprotocol)
		c.close(frame.Close{Code: frame.CloseNoSubprotocol, Reason: "Subprotocol not acceptable"})
	}
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	c.hub.work.Add(1)
	c.shard.post(task{connect: c})
	if c.hub.closed {
		c.close(*goingDown())
		c.abort()
	}
	go c.park()
}

// receive reads the next message, into a buffer for putBuffer.
func (c *connection) receive() ([]byte, error) {
	kind, reader, err := c.websocket.NextReader()
	if err != nil {
		return nil, err
	}
	buffer := getBuffer()
	// gorilla limits the bytes on the wire; this is the limit after decompression.
	limit := c.hub.settings.MaxMessage
	b := bytes.NewBuffer(buffer)
	n, err := b.ReadFrom(io.LimitReader(reader, limit+1))
	switch {
	case err != nil:
		return nil, err
	case n > limit:
		return nil, websocket.ErrReadLimit
	case kind != websocket.TextMessage:
		return buffer, nil // no JSON: Decode refuses it
	}
	return b.Bytes(), nil
}

// maxPooledBuffer is the size of the largest buffer that goes back to the pool.
const maxPooledBuffer = 16 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1<<10); return &b }} // for messages of clients

func getBuffer() []byte { return (*buffers.Get().(*[]byte))[:0] }

func putBuffer(b []byte) {
	if cap(b) <= maxPooledBuffer {
		buffers.Put(&b)
	}
}

// originAllowed reports whether the client is a program, which sends no origin, or a page of the gateway or of the
// settings.
func (h *Hub) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(h.origins, "*") || slices.Contains(h.origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// hijackWriter hijacks the connection of a request as an upgradedConn.
type hijackWriter struct {
	http.ResponseWriter
	conn *upgradedConn
}

// Hijack implements http.Hijacker.
func (w *hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("hijack the connection: %w", err)
	}
	w.conn.Conn = conn
	if buffered.Reader.Buffered() > 0 {
		return w.conn, buffered, nil // gorilla refuses bytes before the handshake
	}
	w.conn.buffered = bufio.NewReaderSize(w.conn, readBuffer)
	return w.conn, bufio.NewReadWriter(w.conn.buffered, buffered.Writer), nil
}

// upgradedConn is the connection that gorilla uses. After the upgrade, gorilla's control frames go to the
// frame.Writer, the only writer of the connection.
type upgradedConn struct {
	net.Conn
	writer   *frame.Writer // nil until the upgrade is complete
	buffered *bufio.Reader
	deflate  bool // compression was negotiated
}

// Write implements net.Conn.
func (c *upgradedConn) Write(p []byte) (int, error) {
	switch {
	case c.writer == nil: // the response to the upgrade
		c.deflate = bytes.Contains(p, []byte("permessage-deflate"))
		return c.Conn.Write(p)
	case frame.IsClose(p):
		c.writer.Close(p)
	default:
		c.writer.Reply(p)
	}
	return len(p), nil
}

// SetWriteDeadline implements net.Conn. After the upgrade, only the frame.Writer sets deadlines.
func (c *upgradedConn) SetWriteDeadline(at time.Time) error {
	if c.writer != nil {
		return nil
	}
	return c.Conn.SetWriteDeadline(at)
}

// noBuffers is an empty buffer pool, so that gorilla, which writes no data, retains no write buffer.
type noBuffers struct{}

// Get implements websocket.BufferPool.
func (noBuffers) Get() any { return nil }

// Put implements websocket.BufferPool.
func (noBuffers) Put(any) {}
