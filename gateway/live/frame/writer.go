package frame

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// socket is the writing side of a connection: whole messages in, never waiting, into a queue that is
// bounded. There is no goroutine for it, but one that drains the queue while the reader is slow.
//
// A message is first written as far as the kernel takes it at once; only what is left is copied and
// queued. Connections of which that cannot be asked (TLS, tests) always go by the queue.
type Writer struct {
	mu       sync.Mutex
	draining bool      // a goroutine is at it
	closing  bool      // nothing is taken any more; what is queued is still written
	closed   bool      // nothing is written any more
	fd       int       // what is written to at once, as long as not closed; noDescriptor: all goes by the queue
	queued   int       // bytes
	limit    int       // bytes that may be queued
	queue    [][]byte  // each is whole messages, but perhaps for the first
	room     sync.Cond // broadcast when the queue gets shorter, and at the end

	all     *atomic.Int64 // bytes that are queued for anybody
	conn    net.Conn
	raw     syscall.RawConn // to wait on; nil where that cannot be
	timeout time.Duration   // for a reader that takes nothing
}

const (
	writeChunk   = 16 << 10 // that many bytes have the time-out to be taken
	controlExtra = 32 << 10 // what replies and control messages may take beyond the limit
	closeGrace   = 2 * time.Second
	lingerBytes  = 16 << 20
)

func (w *Writer) Open(conn net.Conn, limit int, timeout time.Duration, all *atomic.Int64) {
	w.conn, w.limit, w.timeout, w.fd, w.all = conn, limit, timeout, noDescriptor, all
	w.room.L = &w.mu
	tcp, ok := conn.(interface { // *net.TCPConn, or what embeds it
		syscall.Conn
		SetWriteBuffer(bytes int) error
	})
	if !ok {
		return
	}
	_ = tcp.SetWriteBuffer(socketBuffer) // else the kernel keeps up to 4 MB a stalled reader
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	w.raw = raw
	_ = raw.Control(func(fd uintptr) { w.fd = descriptor(fd) }) // without it: by the queue
}

const (
	socketBuffer = 64 << 10
	noDescriptor = -1
)

// Await returns when there is something to read, or the end; where it cannot be told, at once.
func (w *Writer) Await() {
	if w.raw != nil {
		awaitReadable(w.raw)
	}
}

// fits tells whether there is room for so many bytes. An empty queue has room for anything.
func (w *Writer) fits(n int) bool {
	return w.queued == 0 || w.queued+n <= w.limit
}

// Offer takes of the messages in p, which end at these places, from the first those that fit. It does
// not keep p.
func (w *Writer) Offer(p []byte, ends []int) (taken int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queued+len(p) <= w.limit {
		w.put(p)
		return len(ends)
	}
	from := 0
	for _, end := range ends {
		if !w.fits(end - from) {
			break
		}
		w.put(p[from:end])
		from = end
		taken++
	}
	return taken
}

// Push waits until the message fits. It is false when the connection has ended, or gone() says so.
func (w *Writer) Push(p []byte, gone func() bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closing && !w.closed && !gone() && !w.fits(len(p)) {
		w.room.Wait()
	}
	if w.closing || w.closed || gone() {
		return false
	}
	w.put(p)
	return true
}

// Reply takes a message that answers one of the client'w. It is false when the client asks more than
// it reads.
func (w *Writer) Reply(p []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queued+len(p) > w.limit+controlExtra+len(p)/2 && w.queued > 0 {
		return false
	}
	w.put(p)
	return true
}

// Close takes the message after which there is none.
func (w *Writer) Close(p []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing || w.closed {
		return
	}
	w.put(p)
	w.closing = true
	w.room.Broadcast()
	_ = w.conn.SetReadDeadline(time.Now().Add(closeGrace + w.timeoutIfQueued()))
}

// timeoutIfQueued is how much longer a client has that must read what is queued first.
func (w *Writer) timeoutIfQueued() time.Duration {
	if w.queued == 0 {
		return 0
	}
	return w.timeout
}

// IsClosing tells whether the client was told that the connection ends, and it has not ended yet.
func (w *Writer) IsClosing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closing && !w.closed
}

// Abort ends the connection at once. Whoever reads from it sees it.
func (w *Writer) Abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end()
}

// end is cut with the lock held.
func (w *Writer) end() {
	if w.closed {
		return
	}
	w.closed = true
	w.drop()
	w.room.Broadcast()
	_ = w.conn.Close()
}

// Wake lets those who wait in push look again.
func (w *Writer) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.room.Broadcast()
}

// hold counts bytes that are queued, or no longer.
func (w *Writer) hold(n int) {
	w.queued += n
	w.all.Add(int64(n))
}

// drop gives up what is queued.
func (w *Writer) drop() {
	w.hold(-w.queued)
	w.queue = nil
}

// put writes or queues the message; the lock is held.
func (w *Writer) put(p []byte) {
	if w.closed || w.closing {
		return
	}
	if !w.draining && w.fd != noDescriptor {
		n, err := writeSome(w.fd, p)
		if err != nil {
			w.end()
			return
		}
		if p = p[n:]; len(p) == 0 {
			return
		}
	}
	w.queue = append(w.queue, append([]byte(nil), p...))
	w.hold(len(p))
	if !w.draining {
		w.draining = true
		go w.drain()
	}
}

// drain writes what is queued until nothing is, or the connection has ended. It ends because every
// write has its time.
func (w *Writer) drain() {
	for {
		chunk := w.next()
		if chunk == nil {
			return
		}
		if stuck := w.writeAll(chunk); stuck != nil {
			w.giveUp(stuck)
			return
		}
	}
}

// next takes the next bytes off the queue.
func (w *Writer) next() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.queue) == 0 {
		w.draining = false
		w.room.Broadcast()
		return nil
	}
	chunk := w.queue[0]
	w.queue[0] = nil
	w.queue = w.queue[1:]
	for len(w.queue) > 0 && len(chunk)+len(w.queue[0]) <= writeChunk {
		chunk = append(chunk, w.queue[0]...)
		w.queue = w.queue[1:]
	}
	w.hold(-len(chunk))
	if len(w.queue) == 0 {
		w.queue = nil
	}
	w.room.Broadcast()
	return chunk
}

// writeAll writes the bytes as long as the reader takes some of them within the time-out.
func (w *Writer) writeAll(p []byte) *stuckError {
	for len(p) > 0 {
		part := p[:min(len(p), writeChunk)]
		_ = w.conn.SetWriteDeadline(time.Now().Add(w.timeout))
		n, err := w.conn.Write(part)
		p = p[n:]
		if err != nil && !(errors.Is(err, os.ErrDeadlineExceeded) && n > 0) {
			return &stuckError{rest: p, err: err}
		}
	}
	return nil
}

// stuckError is a write that did not end, and what is left of it.
type stuckError struct {
	rest []byte
	err  error
}

// giveUp drops what is queued and ends the connection. A reader that took nothing for so long is told
// to come back, should it read on after all: then whoever reads from it ends it.
func (w *Writer) giveUp(stuck *stuckError) {
	w.mu.Lock()
	w.drop()
	told := !w.closing && errors.Is(stuck.err, os.ErrDeadlineExceeded)
	w.closing = true
	w.room.Broadcast()
	w.mu.Unlock()
	if told {
		told = w.tell(append(stuck.rest, Close{Code: CloseTryAgain, Reason: "too slow: resume"}.Frame()...))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = false
	w.room.Broadcast()
	if !told {
		w.end()
	}
}

func (w *Writer) tell(goodbye []byte) bool {
	_ = w.conn.SetWriteDeadline(time.Now().Add(w.timeout))
	if _, err := w.conn.Write(goodbye); err != nil {
		return false
	}
	_ = w.conn.SetReadDeadline(time.Now().Add(closeGrace))
	return true
}

// Linger reads on for a moment and drops what comes. Closing at once, with bytes unread, would reset the connection before
// the client has read its close frame.
func (w *Writer) Linger() {
	_ = w.conn.SetReadDeadline(time.Now().Add(closeGrace))
	_, _ = io.Copy(io.Discard, io.LimitReader(w.conn, lingerBytes))
}

// Wait waits until nothing is written any more; the socket is cut.
func (w *Writer) Wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.draining {
		w.room.Wait()
	}
}
