package live

import (
	"errors"
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
type socket struct {
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
)

func (s *socket) open(conn net.Conn, limit int, timeout time.Duration, all *atomic.Int64) {
	s.conn, s.limit, s.timeout, s.fd, s.all = conn, limit, timeout, noDescriptor, all
	s.room.L = &s.mu
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
	s.raw = raw
	_ = raw.Control(func(fd uintptr) { s.fd = descriptor(fd) }) // without it: by the queue
}

const (
	socketBuffer = 64 << 10
	noDescriptor = -1
)

// await returns when there is something to read, or the end; where it cannot be told, at once.
func (s *socket) await() {
	if s.raw != nil {
		awaitReadable(s.raw)
	}
}

// fits tells whether there is room for so many bytes. An empty queue has room for anything.
func (s *socket) fits(n int) bool {
	return s.queued == 0 || s.queued+n <= s.limit
}

// offer takes of the messages in p, which end at these places, from the first those that fit. It does
// not keep p.
func (s *socket) offer(p []byte, ends []int) (taken int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queued+len(p) <= s.limit {
		s.put(p)
		return len(ends)
	}
	from := 0
	for _, end := range ends {
		if !s.fits(end - from) {
			break
		}
		s.put(p[from:end])
		from = end
		taken++
	}
	return taken
}

// push waits until the message fits. It is false when the connection has ended, or gone() says so.
func (s *socket) push(p []byte, gone func() bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closing && !s.closed && !gone() && !s.fits(len(p)) {
		s.room.Wait()
	}
	if s.closing || s.closed || gone() {
		return false
	}
	s.put(p)
	return true
}

// reply takes a message that answers one of the client's. It is false when the client asks more than
// it reads.
func (s *socket) reply(p []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queued+len(p) > s.limit+controlExtra+len(p)/2 && s.queued > 0 {
		return false
	}
	s.put(p)
	return true
}

// last takes the message after which there is none.
func (s *socket) last(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || s.closed {
		return
	}
	s.put(p)
	s.closing = true
	s.room.Broadcast()
	_ = s.conn.SetReadDeadline(time.Now().Add(closeGrace + s.timeoutIfQueued()))
}

// timeoutIfQueued is how much longer a client has that must read what is queued first.
func (s *socket) timeoutIfQueued() time.Duration {
	if s.queued == 0 {
		return 0
	}
	return s.timeout
}

// isClosing tells whether the client was told that the connection ends, and it has not ended yet.
func (s *socket) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing && !s.closed
}

// cut ends the connection at once. Whoever reads from it sees it.
func (s *socket) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

// end is cut with the lock held.
func (s *socket) end() {
	if s.closed {
		return
	}
	s.closed = true
	s.drop()
	s.room.Broadcast()
	_ = s.conn.Close()
}

// wakeAll lets those who wait in push look again.
func (s *socket) wakeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room.Broadcast()
}

// hold counts bytes that are queued, or no longer.
func (s *socket) hold(n int) {
	s.queued += n
	s.all.Add(int64(n))
}

// drop gives up what is queued.
func (s *socket) drop() {
	s.hold(-s.queued)
	s.queue = nil
}

// put writes or queues the message; the lock is held.
func (s *socket) put(p []byte) {
	if s.closed || s.closing {
		return
	}
	if !s.draining && s.fd != noDescriptor {
		n, err := writeSome(s.fd, p)
		if err != nil {
			s.end()
			return
		}
		if p = p[n:]; len(p) == 0 {
			return
		}
	}
	s.queue = append(s.queue, append([]byte(nil), p...))
	s.hold(len(p))
	if !s.draining {
		s.draining = true
		go s.drain()
	}
}

// drain writes what is queued until nothing is, or the connection has ended. It ends because every
// write has its time.
func (s *socket) drain() {
	for {
		chunk := s.next()
		if chunk == nil {
			return
		}
		if stuck := s.writeAll(chunk); stuck != nil {
			s.giveUp(stuck)
			return
		}
	}
}

// next takes the next bytes off the queue.
func (s *socket) next() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.queue) == 0 {
		s.draining = false
		s.room.Broadcast()
		return nil
	}
	chunk := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	for len(s.queue) > 0 && len(chunk)+len(s.queue[0]) <= writeChunk {
		chunk = append(chunk, s.queue[0]...)
		s.queue = s.queue[1:]
	}
	s.hold(-len(chunk))
	if len(s.queue) == 0 {
		s.queue = nil
	}
	s.room.Broadcast()
	return chunk
}

// writeAll writes the bytes as long as the reader takes some of them within the time-out.
func (s *socket) writeAll(p []byte) *stuckError {
	for len(p) > 0 {
		part := p[:min(len(p), writeChunk)]
		_ = s.conn.SetWriteDeadline(time.Now().Add(s.timeout))
		n, err := s.conn.Write(part)
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
func (s *socket) giveUp(stuck *stuckError) {
	s.mu.Lock()
	s.drop()
	told := !s.closing && errors.Is(stuck.err, os.ErrDeadlineExceeded)
	s.closing = true
	s.room.Broadcast()
	s.mu.Unlock()
	if told {
		told = s.tell(append(stuck.rest, closeFrame(closing{code: closeTryAgain, reason: "too slow: resume"})...))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = false
	s.room.Broadcast()
	if !told {
		s.end()
	}
}

func (s *socket) tell(goodbye []byte) bool {
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.timeout))
	if _, err := s.conn.Write(goodbye); err != nil {
		return false
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(closeGrace))
	return true
}

// drained waits until nothing is written any more; the socket is cut.
func (s *socket) drained() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.draining {
		s.room.Wait()
	}
}
