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

// Refuse answers a request that is not let in.
type Refuse func(w http.ResponseWriter, r *http.Request, err error)

// WebSocket is the transport of queries, mutations and subscriptions over a WebSocket. The context of a
// request says who is calling, unless connection_init says otherwise.
func (h *Hub) WebSocket(refuse Refuse) graphql.Transport {
	return webSocket{hub: h, refuse: refuse}
}

type webSocket struct {
	hub    *Hub
	refuse Refuse
}

// Supports takes upgrades.
func (t webSocket) Supports(r *http.Request) bool { return websocket.IsWebSocketUpgrade(r) }

const (
	readBuffer  = 272 // gorilla uses ours when it is larger than 256 bytes, and else makes its own
	writeBuffer = 512 // not made: gorilla writes no data
)

// Do upgrades the request and returns: the connection goes on by itself, so that nothing of the
// request is kept.
func (t webSocket) Do(w http.ResponseWriter, r *http.Request, executor graphql.GraphExecutor) {
	h := t.hub
	if err := h.accepts(); err != nil {
		t.refuse(w, r, err)
		return
	}
	c := &connection{
		hub: h, shard: h.pick(), executor: executor, opened: time.Now(), remote: addressOf(r),
		requestID: obs.RequestID(r.Context()), who: caller.FromContext(r.Context()),
	}
	c.heard.Store(c.opened.UnixNano())
	c.expires.Store(unix(c.who.ExpiresAt))
	gate := &gate{}
	upgrader := websocket.Upgrader{
		WriteBufferSize: writeBuffer, WriteBufferPool: noPool{}, // ReadBufferSize 0: that of the gate
		EnableCompression: h.settings.Compression,
		Subprotocols:      []string{protocol.Subprotocol, protocol.LegacySubprotocol}, CheckOrigin: h.originAllowed, HandshakeTimeout: h.settings.InitTimeout,
		Error: t.notUpgraded,
	}
	upgraded, err := upgrader.Upgrade(&hijackable{ResponseWriter: w, gate: gate}, r, nil)
	if err != nil {
		return // it was answered by notUpgraded
	}
	c.begin(upgraded, gate)
}

// notUpgraded refuses what the upgrader does not like, in the form of all refusals.
func (t webSocket) notUpgraded(w http.ResponseWriter, r *http.Request, status int, reason error) {
	refusal := errs.New(errs.InvalidArgument, "REQUEST_MALFORMED", "%s", reason)
	switch status {
	case http.StatusForbidden:
		refusal = errs.New(errs.PermissionDenied, "CROSS_SITE_REFUSED", "pages of this origin may not call the API")
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodGet)
		refusal = errs.New(errs.InvalidArgument, "METHOD_NOT_ALLOWED", "a WebSocket begins with GET")
	case http.StatusInternalServerError:
		refusal = errs.New(errs.Internal, errs.ReasonInternal, "something went wrong on our side").Because(reason)
	}
	t.refuse(w, r, refusal)
}

// begin takes over an upgraded connection.
func (c *connection) begin(upgraded *websocket.Conn, gate *gate) {
	c.websocket, c.buffered, c.deflate = upgraded, gate.buffered, gate.deflate
	gate.buffered = nil
	c.Open(gate.Conn, c.hub.settings.QueueBytes, c.hub.settings.WriteTimeout, &c.hub.metrics.queued)
	gate.socket = &c.Writer
	upgraded.SetReadLimit(c.hub.settings.MaxMessage)
	upgraded.SetPongHandler(func(string) error {
		c.heard.Store(time.Now().UnixNano())
		return nil
	})
	upgraded.SetPingHandler(func(payload string) error {
		c.heard.Store(time.Now().UnixNano())
		if !c.Reply(frame.Pong([]byte(payload))) {
			c.bye(*flooded())
		}
		return nil
	})
	c.hub.metrics.connected("websocket")
	c.dialect = protocol.Of(upgraded.Subprotocol())
	if c.dialect == nil {
		c.dialect = protocol.Of(protocol.Subprotocol)
		c.bye(frame.Close{Code: frame.CloseNoSubprotocol, Reason: "Subprotocol not acceptable"})
	}
	c.hub.enter(c)
}

// enter has the connection go on by itself. It is counted in work until it leaves, through however many
// goroutines it goes.
func (h *Hub) enter(c *connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.work.Add(1)
	c.shard.post(item{enter: c})
	if h.closed {
		c.bye(*goingDown())
		c.cut()
	}
	go c.wait()
}

// receive gives the next message, in a buffer to be put back.
func (c *connection) receive() ([]byte, error) {
	kind, reader, err := c.websocket.NextReader()
	if err != nil {
		return nil, err
	}
	buffer := getBuffer()
	// gorilla's limit is for what comes over the wire; this one is for what that unpacks to.
	most := c.hub.settings.MaxMessage
	b := bytes.NewBuffer(buffer)
	n, err := b.ReadFrom(io.LimitReader(reader, most+1))
	switch {
	case err != nil:
		return nil, err
	case n > most:
		return nil, websocket.ErrReadLimit
	case kind != websocket.TextMessage:
		return buffer, nil // no JSON: it will be refused
	}
	return b.Bytes(), nil
}

func tooLarge() frame.Close {
	return frame.Close{Code: frame.CloseTooBig, Reason: "the message is too large"}
}

const keptBuffer = 16 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1<<10); return &b }} // of messages that are being read

func getBuffer() []byte { return (*buffers.Get().(*[]byte))[:0] }

func putBuffer(b []byte) {
	if cap(b) <= keptBuffer {
		buffers.Put(&b)
	}
}

// originAllowed lets in programs, which name no origin, pages of the gateway itself, and those of the
// settings.
func (h *Hub) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(h.origins, "*") || slices.Contains(h.origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// hijackable gives the upgrader a connection behind a gate.
type hijackable struct {
	http.ResponseWriter
	gate *gate
}

// Hijack is http.Hijacker.
func (w *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take over the connection: %w", err)
	}
	w.gate.Conn = conn
	if buffered.Reader.Buffered() > 0 {
		return w.gate, buffered, nil // gorilla refuses it
	}
	w.gate.buffered = bufio.NewReaderSize(w.gate, readBuffer)
	return w.gate, bufio.NewReadWriter(w.gate.buffered, buffered.Writer), nil
}

// gate is the connection as the upgrader and gorilla see it. Once it has a socket, all that gorilla
// writes, which is control messages, goes there: the socket is the only one that writes.
type gate struct {
	net.Conn
	socket   *frame.Writer
	buffered *bufio.Reader
	deflate  bool // was agreed
}

// Write is net.Conn.
func (g *gate) Write(p []byte) (int, error) {
	switch {
	case g.socket == nil: // the answer to the upgrade
		g.deflate = bytes.Contains(p, []byte("permessage-deflate"))
		return g.Conn.Write(p)
	case frame.IsClose(p):
		g.socket.Close(p)
	default:
		g.socket.Reply(p)
	}
	return len(p), nil
}

// SetWriteDeadline is net.Conn. Deadlines are the socket's to set.
func (g *gate) SetWriteDeadline(at time.Time) error {
	if g.socket != nil {
		return nil
	}
	return g.Conn.SetWriteDeadline(at)
}

// noPool keeps gorilla from holding a write buffer for each connection: it writes no data.
type noPool struct{}

// Get is websocket.BufferPool.
func (noPool) Get() any { return nil }

// Put is websocket.BufferPool.
func (noPool) Put(any) {}
