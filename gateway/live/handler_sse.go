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

	"github.com/sluicehq/sluice/gateway/live/frame"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// IsEventStream tells whether the request wants Server-Sent Events rather than JSON; the first of equals
// wins. Some clients say with every request that they could read either.
func IsEventStream(r *http.Request) bool {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if !strings.Contains(strings.ToLower(accept), "event-stream") {
		return false // as nearly all: this is asked of every request
	}
	most, is := 0.0, false
	for part := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		switch media {
		case "text/event-stream", "application/json", "application/graphql-response+json", "application/*", "*/*":
			if q, err := strconv.ParseFloat(cmp.Or(params["q"], "1"), 64); err == nil && q > most {
				most, is = q, media == "text/event-stream"
			}
		}
	}
	return is
}

// Read reads the operation of a request.
type Read func(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, error)

// EventStream is the transport of one operation over Server-Sent Events, in the distinct connections
// mode of graphql-sse: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
func (h *Hub) EventStream(read Read, refuse Refuse) graphql.Transport {
	return eventStream{hub: h, read: read, refuse: refuse}
}

type eventStream struct {
	hub    *Hub
	read   Read
	refuse Refuse
}

// Supports takes requests for an event stream.
func (t eventStream) Supports(r *http.Request) bool { return IsEventStream(r) }

// Do answers one request, for as long as the client listens.
func (t eventStream) Do(w http.ResponseWriter, r *http.Request, executor graphql.GraphExecutor) {
	params, err := t.read(w, r)
	if err == nil {
		err = resumeFrom(params, r)
	}
	if err == nil {
		err = t.hub.accepts()
	}
	var release func()
	if err == nil {
		release, err = t.hub.admit(r.Context())
	}
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	defer release()
	ended := make(chan struct{})
	if !t.hub.begin(func() { <-ended }) { // the hub waits for the handler
		t.refuse(w, r, errs.New(errs.Unavailable, "GATEWAY_DRAINING", "this gateway is going down: connect again"))
		return
	}
	defer close(ended)
	leave, err := t.hub.letIn(r.Context(), params.Query)
	if err != nil {
		t.refuse(w, r, err)
		return
	}
	leave = sync.OnceFunc(leave)
	defer leave()
	p, problems := t.hub.prepare(r.Context(), executor, params)
	if problems == nil && p.isSubscription() {
		leave()
	}
	if problems == nil && r.Method == http.MethodGet && p.operation.Operation.Operation == ast.Mutation {
		t.hub.giveBack(r.Context(), p.operation)
		w.Header().Set("Allow", http.MethodPost)
		t.refuse(w, r, errs.New(errs.InvalidArgument, "METHOD_NOT_ALLOWED", "mutations are not run over GET: POST them"))
		return
	}
	if problems == nil && p.request.after != "" {
		if _, err := t.hub.cursors.Decode(p.request.after); err != nil {
			t.refuse(w, r, err)
			return
		}
	}
	s := newStream(t.hub, w, r)
	defer s.leave()
	s.enter()
	s.serve(r, p, problems)
}

// resumeFrom takes the cursor of Last-Event-ID, which an EventSource sends by itself, unless the request
// names a later wish.
func resumeFrom(params *graphql.RawParams, r *http.Request) error {
	if _, err := after(params); err != nil {
		return err
	}
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		return nil
	}
	if params.Extensions == nil {
		params.Extensions = map[string]any{}
	}
	params.Extensions["after"] = last // newer than what the URL says, which an EventSource repeats
	return nil
}

// stream is one event stream: the handler of its request writes what others queue.
type stream struct {
	hub     *Hub
	shard   *shard
	out     http.ResponseWriter
	control *http.ResponseController
	expires int64
	session string

	mu     sync.Mutex
	room   sync.Cond
	queue  []queuedAnswer
	queued int // bytes
	over   bool
	code   int
	wake   chan struct{} // holds one when there is something to do
}

// queuedAnswer is one that waits to be written.
type queuedAnswer struct {
	*answer
	broadcast bool // and not of a replay
}

func newStream(h *Hub, w http.ResponseWriter, r *http.Request) *stream {
	s := &stream{
		hub: h, shard: h.pick(), out: w, control: http.NewResponseController(w), wake: make(chan struct{}, 1),
		session: credentialOf(caller.FromContext(r.Context())), expires: unix(caller.FromContext(r.Context()).ExpiresAt),
	}
	s.room.L = &s.mu
	return s
}

func (s *stream) enter() {
	s.hub.metrics.connected("sse")
	s.shard.post(item{enter: s})
	if s.hub.wasRevoked(s.session) {
		s.bye(*revoked())
	}
	header := s.out.Header()
	header.Set("Content-Type", "text/event-stream; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // proxies pass events on at once
	s.out.WriteHeader(http.StatusOK)
}

func (s *stream) leave() {
	s.shard.post(item{exit: s})
	s.mu.Lock()
	code := s.code
	s.mu.Unlock()
	s.hub.metrics.disconnected("sse", code)
}

// serve runs the operation, and ends when it does or the client goes.
func (s *stream) serve(r *http.Request, p *prepared, problems gqlerror.List) {
	switch {
	case problems != nil:
		s.once(payload(&graphql.Response{Errors: problems}, ""))
	case p.isSubscription():
		s.listen(r.Context(), p)
	default:
		ctx, cancel := context.WithTimeout(r.Context(), s.hub.settings.RequestTimeout)
		defer cancel()
		s.once(payload(p.run(ctx), ""))
	}
}

// once writes one answer and that it was the last.
func (s *stream) once(payload []byte) {
	if s.write(appendEvent(nil, "", payload)) {
		s.write([]byte("event: complete\ndata:\n\n"))
	}
}

func (s *stream) listen(ctx context.Context, p *prepared) {
	m := &member{shard: s.shard, to: s}
	if !s.write(s.beginning(p)) {
		return
	}
	if err := s.hub.subscribe(m, p.request); err != nil {
		s.once(payload(failed(ctx, err), ""))
		return
	}
	defer s.hub.end(m, "connection")
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
			answers, over := s.take()
			b = b[:0]
			for _, a := range answers {
				b = appendEvent(b, a.cursor, a.payload)
			}
			if len(b) > 0 && !s.write(b) {
				return
			}
			s.count(answers)
			if over {
				return
			}
		}
	}
}

// beginning has the headers go out. It is the id of no event: an EventSource whose connection is cut
// before there was one comes back with it.
func (s *stream) beginning(p *prepared) []byte {
	if p.request.after != "" {
		return []byte(":\n\n")
	}
	return []byte("id: " + s.hub.source.Cursor() + "\n\n")
}

// finish lets nobody wait for room any more.
func (s *stream) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	s.drop()
	s.room.Broadcast()
}

// drop forgets what is queued.
func (s *stream) drop() {
	s.hub.metrics.queued.Add(-int64(s.queued))
	s.queue, s.queued = nil, 0
}

// write is false when the client takes nothing any more.
func (s *stream) write(b []byte) bool {
	_ = s.control.SetWriteDeadline(time.Now().Add(s.hub.settings.WriteTimeout)) // where it can be set
	if _, err := s.out.Write(b); err != nil {
		return false
	}
	return s.control.Flush() == nil
}

// appendEvent adds one event. Payloads and cursors have no line breaks: JSON that a service gave may.
func appendEvent(b []byte, cursor string, payload []byte) []byte {
	if cursor != "" {
		b = append(append(append(b, "id: "...), cursor...), '\n')
	}
	b = append(b, "event: next\ndata: "...)
	for _, c := range payload {
		if c == '\n' || c == '\r' {
			c = ' ' // between tokens: within texts they are escaped
		}
		b = append(b, c)
	}
	return append(b, "\n\n"...)
}

// count counts what was written.
func (s *stream) count(answers []queuedAnswer) {
	var t tally
	for _, a := range answers {
		if a.broadcast {
			t.add(a.answer)
		} else {
			s.hub.metrics.messages.Inc()
		}
	}
	s.hub.metrics.count(&t)
}

func (s *stream) take() (answers []queuedAnswer, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answers = s.queue
	s.drop()
	s.room.Broadcast()
	return answers, s.over
}

func (s *stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *stream) fits(a *answer) bool {
	return s.queued == 0 || s.queued+len(a.payload) <= s.hub.settings.QueueBytes
}

func (s *stream) put(a *answer, broadcast bool) {
	s.queue = append(s.queue, queuedAnswer{a, broadcast})
	s.queued += len(a.payload)
	s.hub.metrics.queued.Add(int64(len(a.payload)))
	s.signal()
}

// offer is sink.
func (s *stream) offer(_ *member, answers []*answer) (taken int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for taken < len(answers) && !s.over && s.fits(answers[taken]) {
		s.put(answers[taken], true)
		taken++
	}
	if s.over {
		return len(answers)
	}
	return taken
}

// push is sink.
func (s *stream) push(m *member, a *answer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.over && !m.ended.Load() && !s.fits(a) {
		s.room.Wait()
	}
	if s.over || m.ended.Load() {
		return false
	}
	s.put(a, false)
	return true
}

// bye is client. The stream ends without complete, so that an EventSource comes back with its last id.
func (s *stream) bye(why frame.Close) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.over, s.code = true, why.Code
		s.room.Broadcast()
		s.signal()
	}
}

// depart is client. A query is answered in any case.
func (s *stream) depart(why frame.Close) { s.bye(why) }

// cut is client.
func (s *stream) cut() { s.bye(frame.Close{Code: frame.CloseGoingAway}) }

// holds is client.
func (s *stream) holds(credential string) bool { return s.session == credential }

// look is client.
func (s *stream) look(time.Time) {
	if s.expires != 0 && s.hub.clock.Now().Unix() >= s.expires {
		s.bye(frame.Close{Code: frame.CloseForbidden})
	}
}
