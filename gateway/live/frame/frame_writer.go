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

// Writer writes whole messages to one connection through a bounded queue. A goroutine flushes the queue, only while
// the client reads slowly. A message is first written as far as the kernel accepts it at once. The rest is copied and
// queued. Connections without a file descriptor (TLS, tests) use only the queue.
type Writer struct {
	mu         sync.Mutex
	flushing   bool      // a goroutine flushes the queue
	closing    bool      // new messages are dropped; the queue is still flushed
	closed     bool      // nothing is written any more
	descriptor int       // for direct writes while the connection is not closed; noDescriptor for none
	queued     int       // bytes in the queue
	limit      int       // largest number of queued bytes
	queue      [][]byte  // whole messages, except perhaps the first
	shrunk     sync.Cond // broadcast when the queue becomes shorter, and at the end

	total   *atomic.Int64 // broadcast when the queue becomes shorter, and at the end
	conn    net.Conn
	raw     syscall.RawConn // for AwaitReadable; nil without a descriptor
	timeout time.Duration   // within which a client must accept some bytes
}

const (
	writeChunk   = 16 << 10 // bytes that share one write timeout
	controlExtra = 32 << 10 // bytes of replies and control messages beyond the limit
	closeGrace   = 2 * time.Second
	lingerBytes  = 16 << 20
	socketBuffer = 64 << 10
	noDescriptor = -1
)

// Open prepares the writer for a connection. total includes its queued bytes.
func (w *Writer) Open(conn net.Conn, limit int, timeout time.Duration, total *atomic.Int64) {
	w.conn, w.limit, w.timeout, w.descriptor, w.total = conn, limit, timeout, noDescriptor, total
	w.shrunk.L = &w.mu
	tcp, ok := conn.(interface { // *net.TCPConn, or a type that embeds it
		syscall.Conn
		SetWriteBuffer(bytes int) error
	})
	if !ok {
		return
	}
	_ = tcp.SetWriteBuffer(socketBuffer) // the kernel would buffer up to 4 MB for a stalled reader
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	w.raw = raw
	_ = raw.Control(func(fd uintptr) { w.descriptor = directDescriptor(fd) }) // on failure messages go through the queue
}

// AwaitReadable blocks until the connection has bytes to read or has ended; not at all without a descriptor.
func (w *Writer) AwaitReadable() {
	if w.raw != nil {
		awaitReadable(w.raw)
	}
}

// Offer writes as many of the messages in p as fit into the queue, and returns their number. The messages end at the
// offsets in ends. Offer does not retain p.
func (w *Writer) Offer(p []byte, ends []int) (accepted int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queued+len(p) <= w.limit {
		w.write(p)
		return len(ends)
	}
	start := 0
	for _, end := range ends {
		if !w.fits(end - start) {
			break
		}
		w.write(p[start:end])
		start = end
		accepted++
	}
	return accepted
}

// Push waits until the message fits into the queue, and writes it. It returns false after the end of the connection
// or, by cancelled, of the subscription.
func (w *Writer) Push(p []byte, cancelled func() bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closing && !w.closed && !cancelled() && !w.fits(len(p)) {
		w.shrunk.Wait()
	}
	if w.closing || w.closed || cancelled() {
		return false
	}
	w.write(p)
	return true
}

// Reply writes a response to the client. It returns false if the client sends requests faster than it reads
// responses.
func (w *Writer) Reply(p []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queued+len(p) > w.limit+controlExtra+len(p)/2 && w.queued > 0 {
		return false
	}
	w.write(p)
	return true
}

// Close writes the last message, and drops later ones. The read deadline closes a client that does not close its side
// in time.
func (w *Writer) Close(p []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing || w.closed {
		return
	}
	w.write(p)
	w.closing = true
	w.shrunk.Broadcast()
	grace := closeGrace
	if w.queued > 0 { // the client has to read the queue first
		grace += w.timeout
	}
	_ = w.conn.SetReadDeadline(time.Now().Add(grace))
}

// IsClosing reports whether the close frame is written or queued and the connection has not ended.
func (w *Writer) IsClosing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closing && !w.closed
}

// Abort ends the connection at once, with an error for its reader.
func (w *Writer) Abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.abort()
}

// Wake makes blocked calls of Push check whether their subscription has ended.
func (w *Writer) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shrunk.Broadcast()
}

// Linger drops what the client still sends, for a short time. A close with unread bytes would reset the connection
// before the client has read its close frame.
func (w *Writer) Linger() {
	_ = w.conn.SetReadDeadline(time.Now().Add(closeGrace))
	_, _ = io.Copy(io.Discard, io.LimitReader(w.conn, lingerBytes))
}

// Wait waits for the goroutine that flushes the queue of an aborted connection.
func (w *Writer) Wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.flushing {
		w.shrunk.Wait()
	}
}

// fits reports whether the queue has space for n bytes. An empty queue accepts any message. The lock is held.
func (w *Writer) fits(n int) bool {
	return w.queued == 0 || w.queued+n <= w.limit
}

func (w *Writer) abort() {
	if w.closed {
		return
	}
	w.closed = true
	w.dropQueue()
	w.shrunk.Broadcast()
	_ = w.conn.Close()
}

func (w *Writer) addQueued(n int) {
	w.queued += n
	w.total.Add(int64(n))
}

func (w *Writer) dropQueue() {
	w.addQueued(-w.queued)
	w.queue = nil
}

func (w *Writer) write(p []byte) {
	if w.closed || w.closing {
		return
	}
	if !w.flushing && w.descriptor != noDescriptor {
		n, err := writeAvailable(w.descriptor, p)
		if err != nil {
			w.abort()
			return
		}
		if p = p[n:]; len(p) == 0 {
			return
		}
	}
	w.queue = append(w.queue, append([]byte(nil), p...))
	w.addQueued(len(p))
	if !w.flushing {
		w.flushing = true
		go w.flush()
	}
}

// flush writes the queue until it is empty or the connection has ended. Every write has a deadline.
func (w *Writer) flush() {
	for {
		chunk := w.next()
		if chunk == nil {
			return
		}
		if rest, err := w.writeAll(chunk); err != nil {
			w.fail(rest, err)
			return
		}
	}
}

// next removes the next chunk from the queue; nil if it is empty.
func (w *Writer) next() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.queue) == 0 {
		w.flushing = false
		w.shrunk.Broadcast()
		return nil
	}
	chunk := w.queue[0]
	w.queue[0] = nil
	w.queue = w.queue[1:]
	for len(w.queue) > 0 && len(chunk)+len(w.queue[0]) <= writeChunk {
		chunk = append(chunk, w.queue[0]...)
		w.queue = w.queue[1:]
	}
	w.addQueued(-len(chunk))
	if len(w.queue) == 0 {
		w.queue = nil
	}
	w.shrunk.Broadcast()
	return chunk
}

// writeAll writes the bytes while the client accepts some within each timeout, and returns the rest.
func (w *Writer) writeAll(p []byte) (rest []byte, err error) {
	for len(p) > 0 {
		part := p[:min(len(p), writeChunk)]
		_ = w.conn.SetWriteDeadline(time.Now().Add(w.timeout))
		n, err := w.conn.Write(part)
		p = p[n:]
		if err != nil && !(errors.Is(err, os.ErrDeadlineExceeded) && n > 0) {
			return p, err
		}
	}
	return nil, nil
}

// fail drops the queue and ends the connection. After a timeout it first sends the rest of the current message and a
// close frame, in case the client reads on: then the reader of the connection ends it.
func (w *Writer) fail(rest []byte, err error) {
	w.mu.Lock()
	w.dropQueue()
	sendClose := !w.closing && errors.Is(err, os.ErrDeadlineExceeded)
	w.closing = true
	w.shrunk.Broadcast()
	w.mu.Unlock()
	sent := false
	if sendClose {
		_ = w.conn.SetWriteDeadline(time.Now().Add(w.timeout))
		_, err := w.conn.Write(append(rest, Close{Code: CloseTryAgain, Reason: "too slow: resume"}.Frame()...))
		if sent = err == nil; sent {
			_ = w.conn.SetReadDeadline(time.Now().Add(closeGrace))
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushing = false
	w.shrunk.Broadcast()
	if !sent {
		w.abort()
	}
}
