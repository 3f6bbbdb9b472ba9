// Package fastreject refuses a request that is repeated on one connection without parsing it as HTTP. A client in a
// loop sends the same bytes each time, and comparing them is several times cheaper than parsing.
//
// A handler that refuses a request registers the refusal with Repeat. If the next request on the connection has
// exactly the same request line and header fields, the registered function may respond instead of the handler. The
// body may differ, but not its length.
//
// Every other request reaches net/http byte for byte. Bytes are compared only at the start of a request, after all
// earlier requests have responses, and consumed only as one complete request. A client that does not read its
// response is disconnected after the timeout.
package fastreject

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Responder appends the HTTP response of a repeated request to the buffer, which it must not retain. With ok false
// the handler responds.
type Responder func(buffer []byte) (response []byte, ok bool)

type contextKey struct{}

// Serve is server.Serve with connections on which Repeat has an effect. The timeout bounds the write of a response.
func Serve(server *http.Server, listener net.Listener, timeout time.Duration) error {
	server.ConnState = func(c net.Conn, state http.ConnState) {
		if c, ok := c.(*conn); ok {
			c.changeState(state)
		}
	}
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, contextKey{}, c)
	}
	return server.Serve(observedListener{listener, timeout})
}

// Repeat registers a responder for repetitions of the request on its connection. The handler calls it for each
// request that it refuses. It has no effect when the bytes of the request are not known exactly.
func Repeat(r *http.Request, responder func() Responder) {
	c, ok := r.Context().Value(contextKey{}).(*conn)
	if ok && r.ProtoMajor == 1 && r.ProtoMinor == 1 && !r.Close && r.ContentLength >= 0 && len(r.TransferEncoding) == 0 && r.Header["Expect"] == nil {
		c.register(r.Method, int(r.ContentLength), responder)
	}
}

type observedListener struct {
	net.Listener
	timeout time.Duration
}

// Accept implements net.Listener.
func (d observedListener) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &conn{TCPConn: tcp, timeout: d.timeout}, err
	}
	return c, err
}

// conn is a connection that net/http reads into a buffer. A request is refused here only after it arrived twice:
// after the first one the buffer of net/http is empty, so the second one begins with the next read.
type conn struct {
	*net.TCPConn
	timeout  time.Duration
	observed atomic.Bool // after the first refusal

	mu    sync.Mutex
	idle  bool   // all requests have responses: the next read begins or continues the head of a request
	first []byte // the first read of the last request
	reads int    // of the last request, including reads during its handler
	exact bool   // the reads were that request and no more
	after bool   // the request before the last one was exact

	head      []byte // of the registered request; nil without one
	length    int    // of that request
	responder Responder
	buffer    []byte // for the response
}

// changeState follows the states of net/http: active after the head of a request, idle after its response, hijacked after
// an upgrade.
func (c *conn) changeState(state http.ConnState) {
	if !c.observed.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = false
	switch state {
	case http.StateIdle:
		c.idle = true
	case http.StateHijacked:
		c.reset()
		c.observed.Store(false)
	}
}

// endOfHead ends the head of a request.
const endOfHead = "\r\n\r\n"

// register registers the last request, if one read contained all of it. That read begins with the method, and it has
// only CRLF line ends, which have one interpretation. So its first empty line ends the head, and the length of the
// body gives the end of the request.
func (c *conn) register(method string, body int, responder func() Responder) {
	c.observed.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	end := bytes.Index(c.first, []byte(endOfHead)) + len(endOfHead)
	if c.reads != 1 || end < len(endOfHead) || end+body != len(c.first) || !bytes.HasPrefix(c.first, []byte(method+" ")) {
		return
	}
	head := c.first[:end]
	if bytes.Count(head, []byte("\n")) != bytes.Count(head, []byte("\r\n")) {
		return
	}
	c.exact = true
	if c.after {
		c.head, c.length, c.responder = bytes.Clone(head), len(c.first), responder()
	}
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if !c.observed.Load() {
		return c.TCPConn.Read(p)
	}
	for responded := false; ; responded = true {
		n, err := c.TCPConn.Read(p)
		if n == 0 || !c.respondsTo(p[:n]) {
			if responded {
				_ = c.SetWriteDeadline(time.Time{})
			}
			return n, err
		}
		_ = c.SetWriteDeadline(time.Now().Add(c.timeout))
		if _, err := c.Write(c.buffer); err != nil {
			return 0, err
		}
	}
}

// respondsTo reports whether the bytes are the registered request, and fills the buffer with its response.
func (c *conn) respondsTo(read []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.idle {
		c.reads++
		c.reset()
		return false
	}
	if c.head != nil && len(read) == c.length && bytes.HasPrefix(read, c.head) {
		response, ok := c.responder(c.buffer[:0])
		if c.buffer = response; ok {
			return true
		}
	}
	after := c.exact
	c.reset()
	c.idle, c.reads, c.after, c.first = false, 1, after, append(c.first[:0], read...)
	return false
}

// reset drops the registered request, because the state of the connection is no longer known.
func (c *conn) reset() { c.head, c.responder, c.exact = nil, nil, false }
