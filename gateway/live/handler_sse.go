package live

import (
	"cmp"
	"context"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/bff/auth"
	"github.com/sluicehq/sluice/gateway/live/frame"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// IsEventStream reports whether the client prefers Server-Sent Events to JSON. Of equal qualities the first wins,
// because some clients accept both with every request.
func IsEventStream(r *http.Request) bool {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if !strings.Contains(strings.ToLower(accept), "event-stream") {
		return false // the usual case
	}
	best, preferred := 0.0, false
	for part := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		switch media {
		case "text/event-stream", "application/json", "application/graphql-response+json", "application/*", "*/*":
			if q, err := strconv.ParseFloat(cmp.Or(params["q"], "1"), 64); err == nil && q > best {
				best, preferred = q, media == "text/event-stream"
			}
		}
	}
	return preferred
}

// Read decodes the operation of a request.
type Read func(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, error)

// EventStream returns the transport for one operation over Server-Sent Events, in the distinct connections mode of
// graphql-sse: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
func (h *Hub) EventStream(read Read, refuse Refuse) graphql.Transport {
	return eventStream{hub: h, read: read, refuse: refuse}
}

type eventStream struct {
	hub    *Hub
	read   Read
	refuse Refuse
}

// Supports reports whether the client requests an event stream.
func (t eventStream) Supports(r *http.Request) bool { return IsEventStream(r) }

// Do serves one request until the operation ends or the client disconnects.
func (t eventStream) Do(w http.ResponseWriter, r *http.Request, executor graphql.GraphExecutor) {
	leave, err := t.hub.admission.Arrive(r.Context())
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	leave = sync.OnceFunc(leave)
	defer leave()
	params, err := t.read(w, r)
	if err == nil {
		err = useLastEventID(params, r)
	}
	if err == nil {
		err = t.hub.checkCapacity()
	}
	var release func()
	if err == nil {
		release, err = t.hub.acquireConnection(r.Context())
	}
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	defer release()
	ended := make(chan struct{})
	if !t.hub.start(func() { <-ended }) { // Hub.Close waits for the handler
		t.refuse(w, r, draining())
		return
	}
	defer close(ended)
	p, problems, err := t.hub.prepare(r.Context(), executor, params, func(operation *ast.OperationDefinition) error {
		if r.Method != http.MethodGet || operation.Operation != ast.Mutation {
			return nil
		}
		w.Header().Set("Allow", http.MethodPost)
		return errs.New(errs.InvalidArgument, "METHOD_NOT_ALLOWED", "mutations are not executed over GET: use POST")
	})
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	if problems == nil && p.isSubscription() {
		leave()
	}
	if problems == nil && p.request.after != "" {
		if _, err := t.hub.cursors.Decode(p.request.after); err != nil {
			t.refuse(w, r, err)
			return
		}
	}
	s := newStream(t.hub, w, r)
	defer s.disconnect()
	s.connect()
	s.serve(r, p, problems)
}

func useLastEventID(params *graphql.RawParams, r *http.Request) error {
	if _, err := resumeCursor(params); err != nil {
		return err
	}
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		return nil
	}
	if params.Extensions == nil {
		params.Extensions = map[string]any{}
	}
	params.Extensions["after"] = last // newer than the one in the URL, which an EventSource repeats
	return nil
}

// stream is one event stream. The handler of its request writes the results that other goroutines queue.
type stream struct {
	hub        *Hub
	shard      *shard
	out        http.ResponseWriter
	control    *http.ResponseController
	expires    int64  // Unix seconds; 0 for never
	credential string // id of the session or API key
	session    auth.Session

	mu     sync.Mutex
	shrunk sync.Cond // broadcast when the queue becomes shorter, and at the end
	queue  []queuedResult
	queued int // bytes
	ended  bool
	code   int           // of the close; 0 when the client has disconnected
	wake   chan struct{} // signals results or the end of the stream
}

type queuedResult struct {
	*result
	broadcast bool // false for a replay
}

func newStream(h *Hub, w http.ResponseWriter, r *http.Request) *stream {
	who := caller.FromContext(r.Context())
	s := &stream{
		hub: h, shard: h.pick(), out: w, control: http.NewResponseController(w), wake: make(chan struct{}, 1),
		credential: credentialOf(who), session: auth.SessionOf(who), expires: unix(who.ExpiresAt),
	}
	s.shrunk.L = &s.mu
	return s
}

func (s *stream) connect() {
	s.hub.metrics.connected("sse")
	s.hub.auth.Watch(s.session)
	s.shard.post(task{connect: s})
	if s.hub.wasRevoked(s.credential) {
		s.close(*revoked())
	}
	header := s.out.Header()
	header.Set("Content-Type", "text/event-stream; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // proxies forward events at once
	s.out.WriteHeader(http.StatusOK)
}

func (s *stream) disconnect() {
	s.shard.post(task{disconnect: s})
	s.mu.Lock()
	code := s.code
	s.mu.Unlock()
	s.hub.metrics.disconnected("sse", code)
}

// serve executes the operation until it has ended or the client has disconnected.
func (s *stream) serve(r *http.Request, p *preparedOperation, problems gqlerror.List) {
	switch {
	case problems != nil:
		s.writeOnly(payload(&graphql.Response{Errors: problems}, ""))
	case p.isSubscription():
		s.subscribe(r.Context(), p)
	default:
		ctx, cancel := context.WithTimeout(r.Context(), s.hub.settings.RequestTimeout)
		defer cancel()
		body := payload(p.dispatch(ctx), "")
		if body == nil {
			body = payload(failed(ctx, nil), "")
		}
		s.writeOnly(body)
	}
}

func (s *stream) writeOnly(payload []byte) {
	if s.write(appendEvent(nil, "", payload)) {
		s.write([]byte("event: complete\ndata:\n\n"))
	}
}

// subscribe starts the subscription, and writes its results until it ends.
func (s *stream) subscribe(ctx context.Context, p *preparedOperation) {
	// The first bytes send the headers. Without a cursor they are an id without an event: an EventSource that
	// disconnects before the first event resumes from it.
	first := ":\n\n"
	if p.request.after == "" {
		first = "id: " + s.hub.source.Cursor() + "\n\n"
	}
	if !s.write([]byte(first)) {
		return
	}
	sub := &subscriber{shard: s.shard, sink: s}
	if err := s.hub.subscribe(sub, p.request); err != nil {
		s.writeOnly(payload(failed(ctx, err), ""))
		return
	}
	defer s.hub.unsubscribe(sub, "connection")
	defer s.finish()
	keepAlive := time.NewTicker(s.hub.settings.KeepAlive)
	defer keepAlive.Stop()
	var b []byte
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.hub.ctx.Done():
			return
		case <-keepAlive.C:
			if !s.write([]byte(":\n\n")) {
				return
			}
		case <-s.wake:
			results, ended := s.dequeue()
			b = b[:0]
			for _, r := range results {
				b = appendEvent(b, r.cursor, r.payload)
			}
			if len(b) > 0 && !s.write(b) {
				return
			}
			s.count(results)
			if ended {
				return
			}
		}
	}
}

// finish drops the queue, and wakes blocked calls of push.
func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.dropQueue()
	s.shrunk.Broadcast()
}

func (s *stream) dropQueue() {
	s.hub.metrics.queued.Add(-int64(s.queued))
	s.queue, s.queued = nil, 0
}

// write returns false if the client accepts no bytes within the write timeout, or has disconnected.
func (s *stream) write(b []byte) bool {
	_ = s.control.SetWriteDeadline(time.Now().Add(s.hub.settings.WriteTimeout)) // if the writer supports it
	if _, err := s.out.Write(b); err != nil {
		return false
	}
	return s.control.Flush() == nil
}

// appendEvent appends one event. It replaces line breaks in JSON of a service, because a data field is one line.
func appendEvent(b []byte, cursor string, payload []byte) []byte {
	if cursor != "" {
		b = append(append(append(b, "id: "...), cursor...), '\n')
	}
	b = append(b, "event: next\ndata: "...)
	for _, c := range payload {
		if c == '\n' || c == '\r' {
			c = ' ' // between JSON tokens; in strings they are escaped
		}
		b = append(b, c)
	}
	return append(b, "\n\n"...)
}

func (s *stream) count(results []queuedResult) {
	var t tally
	for _, r := range results {
		if r.broadcast {
			t.add(r.result)
		} else {
			s.hub.metrics.messages.Inc()
		}
	}
	s.hub.metrics.count(&t)
}

func (s *stream) dequeue() (results []queuedResult, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	results = s.queue
	s.dropQueue()
	s.shrunk.Broadcast()
	return results, s.ended
}

func (s *stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// fits reports whether the queue has space for the result. An empty queue accepts any result.
func (s *stream) fits(r *result) bool {
	return s.queued == 0 || s.queued+len(r.payload) <= s.hub.settings.QueueBytes
}

func (s *stream) enqueue(r *result, broadcast bool) {
	s.queue = append(s.queue, queuedResult{r, broadcast})
	s.queued += len(r.payload)
	s.hub.metrics.queued.Add(int64(len(r.payload)))
	s.signal()
}

func (s *stream) offer(_ *subscriber, results []*result) (accepted int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for accepted < len(results) && !s.ended && s.fits(results[accepted]) {
		s.enqueue(results[accepted], true)
		accepted++
	}
	if s.ended {
		return len(results)
	}
	return accepted
}

func (s *stream) push(sub *subscriber, r *result) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.ended && !sub.ended.Load() && !s.fits(r) {
		s.shrunk.Wait()
	}
	if s.ended || sub.ended.Load() {
		return false
	}
	s.enqueue(r, false)
	return true
}

// close implements client. The stream ends without complete, so that an EventSource reconnects with its last id.
func (s *stream) close(why frame.Close) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended, s.code = true, why.Code
		s.shrunk.Broadcast()
		s.signal()
	}
}

// drain implements client. A running query writes its response in any case.
func (s *stream) drain(why frame.Close) { s.close(why) }

func (s *stream) abort() { s.close(frame.Close{Code: frame.CloseGoingAway}) }

func (s *stream) usesCredential(id string) bool { return s.credential == id }

func (s *stream) checkTimeouts(time.Time) {
	s.hub.auth.Watch(s.session)
	if s.expires != 0 && s.hub.clock.Now().Unix() >= s.expires {
		s.close(frame.Close{Code: frame.CloseForbidden})
	}
}
