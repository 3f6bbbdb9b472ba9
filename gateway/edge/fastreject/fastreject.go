// Package fastreject answers a request that comes again and again on one connection without its being read
// as HTTP: a program in a loop sends the same bytes each time, and net/http takes several times as long
// to make a request of them as it takes to see that they are the same.
//
// A handler that refuses a request says so with Again. When the next on the connection begins with
// exactly the same line and header fields, the function that it gave is asked, and may answer in its
// place; of the body nothing counts but its length, which stands among them.
//
// It promises that whatever is not such a request reaches net/http as it came, byte for byte: bytes are
// compared only where a request begins and all before it has been answered, and taken only if they are
// one whole request and nothing more.
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

// Answer gives the whole answer to a request that is one of those again, appended to text, which it may
// keep no longer; false has the request go to the handler.
type Answer func(text []byte) (answer []byte, ok bool)

type contextKey struct{}

// Serve is server.Serve, with connections on which Again has an effect. Clients that do not take an
// answer are left after the timeout.
func Serve(server *http.Server, listener net.Listener, timeout time.Duration) error {
	server.ConnState = func(c net.Conn, state http.ConnState) {
		if c, ok := c.(*conn); ok {
			c.turn(state)
		}
	}
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, contextKey{}, c)
	}
	return server.Serve(doorstep{listener, timeout})
}

// Again has requests answered that come on the same connection and are this one again. It is called by
// the handler, each time that a request gets as far; it does nothing where it cannot be told what is, and
// asks for the function when it can.
func Again(r *http.Request, answer func() Answer) {
	c, ok := r.Context().Value(contextKey{}).(*conn)
	if ok && r.ProtoMajor == 1 && r.ProtoMinor == 1 && !r.Close && r.ContentLength >= 0 && len(r.TransferEncoding) == 0 && r.Header["Expect"] == nil {
		c.again(r.Method, int(r.ContentLength), answer)
	}
}

type doorstep struct {
	net.Listener
	timeout time.Duration
}

// Accept is net.Listener.
func (d doorstep) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &conn{TCPConn: tcp, timeout: d.timeout}, err
	}
	return c, err
}

// conn is a connection that net/http reads, into a buffer that cannot be looked into. So that it is known
// to be empty where a request begins, what is answered here must have come twice before: the first shows
// that nothing is left after it, so that the second begins with what is read then.
type conn struct {
	*net.TCPConn
	timeout time.Duration
	watched atomic.Bool // once a request was refused

	mu    sync.Mutex
	idle  bool   // all requests have been answered: the next read begins one, or goes on with its head
	came  []byte // what the last request began with
	reads int    // that the last request took, those in the background of its handler included
	whole bool   // they gave that request and nothing more
	after bool   // the last request came after one that was whole

	head   []byte // of the request that is answered here; none while there is none
	length int    // of that request
	answer Answer
	text   []byte // to answer with
}

// turn is told when a head has been read, when its request has been answered, and when there will be none
// any more.
func (c *conn) turn(state http.ConnState) {
	if !c.watched.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = false
	switch state {
	case http.StateIdle:
		c.idle = true
	case http.StateHijacked:
		c.forget()
		c.watched.Store(false)
	}
}

// endOfHead is what a head ends with.
const endOfHead = "\r\n\r\n"

// again learns the request that came last, if one read gave all of it.
//
// That read was made before the head was complete. It begins with the method, so that no line end is
// split, and has no line ends but those of HTTP, which are read in one way only: thus the first empty line
// in it is the end of the head, and the length of the body tells where the request ends.
func (c *conn) again(method string, body int, answer func() Answer) {
	c.watched.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	end := bytes.Index(c.came, []byte(endOfHead)) + len(endOfHead)
	if c.reads != 1 || end < len(endOfHead) || end+body != len(c.came) || !bytes.HasPrefix(c.came, []byte(method+" ")) {
		return
	}
	head := c.came[:end]
	if bytes.Count(head, []byte("\n")) != bytes.Count(head, []byte("\r\n")) {
		return
	}
	c.whole = true
	if c.after {
		c.head, c.length, c.answer = bytes.Clone(head), len(c.came), answer()
	}
}

// Read is net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if !c.watched.Load() {
		return c.TCPConn.Read(p)
	}
	for answered := false; ; answered = true {
		n, err := c.TCPConn.Read(p)
		if n == 0 || !c.isAgain(p[:n]) {
			if answered {
				_ = c.SetWriteDeadline(time.Time{})
			}
			return n, err
		}
		_ = c.SetWriteDeadline(time.Now().Add(c.timeout))
		if _, err := c.Write(c.text); err != nil {
			return 0, err
		}
	}
}

// isAgain tells whether the bytes are the request that is answered here, and makes the answer.
func (c *conn) isAgain(came []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.idle {
		c.reads++
		c.forget()
		return false
	}
	if c.head != nil && len(came) == c.length && bytes.HasPrefix(came, c.head) {
		text, ok := c.answer(c.text[:0])
		if c.text = text; ok {
			return true
		}
	}
	after := c.whole
	c.forget()
	c.idle, c.reads, c.after, c.came = false, 1, after, append(c.came[:0], came...)
	return false
}

// forget is for what may not be as it was known to be.
func (c *conn) forget() { c.head, c.answer, c.whole = nil, nil, false }
