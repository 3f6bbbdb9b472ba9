// Package eventstream reads the stream of events: live, and earlier ones for replay. Events are in the order of the
// stream without a hole; events that retention has deleted are one gap with its bounds. A cursor is signed, so a
// client cannot invent one. While the broker is away, reads return an error and the caller retries. ErrEpoch means
// that the stream was created anew and every earlier position is void.
package eventstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/entity"
)

// Event is one event of the stream, or a gap.
type Event struct {
	bff.Event
	Cursor string
	Gap    *Gap // nil for an event; the Sequence of a gap is that of its last event
	size   int  // bytes, estimated
}

// Gap is the range of deleted events: those after From, up to and including To. Both are cursors.
type Gap struct{ From, To string }

const (
	pageSize     = 128 // events per fetched page
	cachedPages  = 32
	pageTimeout  = 5 * time.Second // for one page
	maxBatch     = 64              // events per Read from memory
	eventBaseLen = 500             // bytes of an event in memory besides its data, estimated
)

var (
	errUnreadable = errors.New("the stream of events cannot be read")
	// ErrEpoch means that the stream was created anew: earlier positions and cached events are void.
	ErrEpoch = errors.New("the stream of events was created anew")
)

// Options are the dependencies and limits of a Source.
type Options struct {
	JetStream    jetstream.JetStream
	Decode       func(e *bff.Event, data []byte) error // sets Node and Facts
	Cursors      *Cursors
	History      int // events in the memory buffer
	HistoryBytes int
}

// Source reads the stream of events: Follow as it grows, Read earlier events. The latest events are in a memory
// buffer, and pages of earlier ones in a cache, because many subscribers resume from about the same cursor.
type Source struct {
	js      jetstream.JetStream
	decode  func(e *bff.Event, data []byte) error
	cursors *Cursors

	history      int // events in the memory buffer
	historyBytes int

	joined atomic.Bool
	epoch  atomic.Uint32 // of the stream

	mu       sync.Mutex
	position uint64   // of the last event that Append has added
	recent   []*Event // the memory buffer, without a hole; it ends at position
	bytes    int      // of recent

	pagesMu sync.Mutex
	pages   map[uint64]*page // by number
	order   []uint64         // page numbers, the oldest first
}

// page is a fixed range of the stream, fetched once for all its readers.
type page struct {
	once   sync.Once
	events []*Event
	first  uint64 // first sequence of the stream, if events is empty
	err    error
}

// New returns a Source, without events and valid cursors until Join.
func New(options Options) *Source {
	return &Source{
		js: options.JetStream, decode: options.Decode, cursors: options.Cursors,
		history: options.History, historyBytes: options.HistoryBytes, pages: map[uint64]*page{},
	}
}

// Join reads the state of the stream, once. The source starts up to History events before the end of the stream, so
// that subscribers of another gateway can resume from memory.
func (s *Source) Join(ctx context.Context) error {
	if s.joined.Load() {
		return nil
	}
	info, err := bus.EventsInfo(ctx, s.js)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.position = max(info.State.FirstSeq, 1) - 1
	if warm := uint64(max(s.history, 0)); info.State.LastSeq > s.position+warm {
		s.position = info.State.LastSeq - warm
	}
	s.mu.Unlock()
	s.epoch.Store(epochOf(info.Created))
	s.joined.Store(true)
	return nil
}

// Joined reports whether Join has succeeded.
func (s *Source) Joined() bool { return s.joined.Load() }

// Follow calls handle for each event after the current position, in order, until ctx ends or the stream cannot be
// read.
func (s *Source) Follow(ctx context.Context, handle func(*Event)) error {
	if err := s.Join(ctx); err != nil {
		return err
	}
	info, err := bus.EventsInfo(ctx, s.js)
	if err != nil {
		return err
	}
	if epochOf(info.Created) != s.epoch.Load() {
		return ErrEpoch
	}
	return bus.Follow(ctx, s.js, s.Position(), false, func(message jetstream.Msg) error {
		e, err := s.parse(message)
		if e == nil {
			return err
		}
		handle(e)
		return nil
	})
}

// parse decodes one message. If only the data is invalid, it returns the event with its sequence, and the error.
func (s *Source) parse(message jetstream.Msg) (*Event, error) {
	m, err := bus.Decode(message)
	if err != nil {
		return nil, err
	}
	e := &Event{Event: bff.Event{Sequence: m.Sequence, At: m.Time}, size: len(m.Data) + eventBaseLen}
	e.Cursor = s.cursor(m.Sequence)
	kind, change, id, err := bus.ParseEventSubject(m.Subject)
	if err != nil {
		return e, err
	}
	e.Entity, e.Change, e.ID = entity.Kind(kind), change, id
	if err := s.decode(&e.Event, m.Data); err != nil {
		e.Node = nil
		return e, err
	}
	return e, nil
}

// Append adds an event of Follow to the memory buffer. It returns the gap before the event, if any, and whether the
// event is new: a redelivered event is not.
func (s *Source) Append(e *Event) (gap *Event, isNew bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Sequence <= s.position {
		return nil, false
	}
	if e.Sequence > s.position+1 {
		gap = s.Gap(s.position, e.Sequence-1)
		s.recent, s.bytes = nil, 0
	}
	s.position = e.Sequence
	s.recent = append(s.recent, e)
	s.bytes += e.size
	for len(s.recent) > 1 && (len(s.recent) > s.history || s.bytes > s.historyBytes) {
		s.bytes -= s.recent[0].size
		s.recent[0] = nil
		s.recent = s.recent[1:]
	}
	return gap, true
}

// Gap returns the gap of the events after one sequence, up to and including another.
func (s *Source) Gap(after, last uint64) *Event {
	to := s.cursor(last)
	return &Event{Event: bff.Event{Sequence: last, At: time.Now()}, Cursor: to, Gap: &Gap{From: s.cursor(after), To: to}}
}

func (s *Source) cursor(sequence uint64) string {
	return s.cursors.Encode(Position{Epoch: s.epoch.Load(), Sequence: sequence})
}

// Position returns the sequence of the last appended event.
func (s *Source) Position() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position
}

// Cursor returns the cursor of the last appended event.
func (s *Source) Cursor() string { return s.cursor(s.Position()) }

// Read returns some events after a sequence, or a gap; none if the sequence is that of the last appended event.
func (s *Source) Read(ctx context.Context, after uint64) ([]*Event, error) {
	events, found := s.buffered(after)
	if found {
		return events, nil
	}
	events, first, err := s.page(ctx, after)
	if err != nil {
		return nil, err
	}
	if len(events) > 0 {
		first = events[0].Sequence
	}
	if first > after+1 {
		events = append([]*Event{s.Gap(after, first-1)}, events...)
	}
	return events, nil
}

// buffered returns the events after a sequence from memory; false if the stream must be read.
func (s *Source) buffered(after uint64) (events []*Event, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after >= s.position {
		return nil, true
	}
	if len(s.recent) == 0 || after+1 < s.recent[0].Sequence {
		return nil, false
	}
	from := int(after + 1 - s.recent[0].Sequence)
	return slices.Clone(s.recent[from:min(from+maxBatch, len(s.recent))]), true
}

// page returns the events after a sequence that are on its page. If retention has deleted them all, it returns the
// first sequence of the stream.
func (s *Source) page(ctx context.Context, after uint64) (events []*Event, first uint64, err error) {
	number := after / pageSize
	p := s.cachedPage(number)
	p.once.Do(func() { s.load(ctx, p, number) })
	if p.err != nil || len(p.events) == 0 || p.events[len(p.events)-1].Sequence <= after {
		s.evict(number, p) // the next read may find more
	}
	if p.err != nil {
		return nil, 0, p.err
	}
	from, _ := slices.BinarySearchFunc(p.events, after+1, func(e *Event, sequence uint64) int {
		return int(int64(e.Sequence) - int64(sequence))
	})
	events = p.events[from:]
	if len(events) == 0 && p.first <= after+1 {
		return nil, 0, errUnreadable
	}
	return events, p.first, nil
}

func (s *Source) cachedPage(number uint64) *page {
	s.pagesMu.Lock()
	defer s.pagesMu.Unlock()
	if p, ok := s.pages[number]; ok {
		return p
	}
	if len(s.order) == cachedPages {
		delete(s.pages, s.order[0])
		s.order = s.order[1:]
	}
	p := &page{}
	s.pages[number] = p
	s.order = append(s.order, number)
	return p
}

func (s *Source) evict(number uint64, p *page) {
	s.pagesMu.Lock()
	defer s.pagesMu.Unlock()
	if s.pages[number] != p {
		return
	}
	delete(s.pages, number)
	s.order = slices.DeleteFunc(s.order, func(n uint64) bool { return n == number })
}

// load reads the page from the stream. Other readers wait for it, so the end of ctx does not cancel it.
func (s *Source) load(ctx context.Context, p *page, number uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pageTimeout)
	defer cancel()
	info, err := bus.EventsInfo(ctx, s.js)
	if err != nil {
		p.err = err
		return
	}
	if epochOf(info.Created) != s.epoch.Load() {
		p.err = ErrEpoch
		return
	}
	start, end := max(number*pageSize+1, info.State.FirstSeq), min((number+1)*pageSize, s.Position())
	if p.first = info.State.FirstSeq; start > end {
		return
	}
	p.events, p.err = s.fetch(ctx, start, end)
}

func (s *Source) fetch(ctx context.Context, start, end uint64) ([]*Event, error) {
	consumer, err := s.js.CreateConsumer(ctx, bus.Events, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: start, AckPolicy: jetstream.AckNonePolicy,
		InactiveThreshold: time.Minute, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("read the stream of events: %w", err)
	}
	defer func() { // on failure the consumer expires
		_ = s.js.DeleteConsumer(context.WithoutCancel(ctx), bus.Events, consumer.CachedInfo().Name)
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batch, err := consumer.Fetch(int(end-start+1), jetstream.FetchContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the stream of events: %w", err)
	}
	var events []*Event
	for message := range batch.Messages() {
		e, err := s.parse(message)
		if e == nil {
			return nil, err
		}
		if e.Sequence <= end {
			events = append(events, e)
		}
		if e.Sequence >= end {
			return events, nil
		}
	}
	return nil, errors.Join(errUnreadable, batch.Error())
}

// Restart drops all cached events and starts at the beginning of a stream that was created anew.
func (s *Source) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	info, err := bus.EventsInfo(ctx, s.js)
	if err != nil {
		return err
	}
	s.pagesMu.Lock()
	s.pages, s.order = map[uint64]*page{}, nil
	s.pagesMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch.Store(epochOf(info.Created))
	s.position, s.recent, s.bytes = max(info.State.FirstSeq, 1)-1, nil, 0
	return nil
}

// Contains reports whether the position is in this stream. It is not after the stream was created anew, or after the
// broker has lost its latest events. If another gateway is ahead of this one, the broker decides; while it is away
// the position is accepted.
func (s *Source) Contains(ctx context.Context, p Position) bool {
	if p.Epoch != s.epoch.Load() {
		return false
	}
	if p.Sequence <= s.Position() {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	info, err := bus.EventsInfo(ctx, s.js)
	return err != nil || p.Sequence <= info.State.LastSeq
}
