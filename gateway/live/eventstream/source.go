// Package eventstream reads the stream of events: live events as the broker publishes them, and earlier events for replay.
//
// It promises that events are returned in the order of the stream without a hole. Events that retention has deleted are
// returned as one gap with its bounds. A cursor is signed, so a client cannot invent one. While the broker is away, reads
// return an error and the caller retries. When the stream was created anew, ErrEpoch says that every earlier position is void.
package eventstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/bus"
)

// Event is one event of the stream, or a stretch of it that retention has taken.
type Event struct {
	bff.Event
	Cursor string
	size   int  // bytes, about
	Gap    *Gap // then it is no event: Sequence is the end of the stretch
}

// Gap is what is lost: everything after from, to and with to. Both are cursors.
type Gap struct{ From, To string }

const (
	pageSize  = 128 // events that are read from the stream at once
	pagesKept = 32
	pageWait  = 5 * time.Second // for one page
	readMost  = 64              // events that a follower takes at once
)

// errAway says that the stream could not be read just now.
var errAway = errors.New("the stream of events cannot be read")

// Options are what a Source needs.
type Options struct {
	JetStream    jetstream.JetStream
	Decode       func(e *bff.Event, data []byte) error // reads Node and Facts
	Cursors      *Cursors
	History      int // events kept in memory
	HistoryBytes int
}

// Source reads the stream of events: as it grows, by feed; and again what was, by read. The newest
// are kept in memory, and so are pages of older ones, because many come back at once and for the same.
type Source struct {
	js      jetstream.JetStream
	decode  func(e *bff.Event, data []byte) error
	cursors *Cursors
	epoch   uint32 // of the stream; set before the source is used

	history      int // events kept in memory
	historyBytes int

	mu       sync.Mutex
	position uint64   // the last event that was fed
	recent   []*Event // without a hole; the last is at position
	bytes    int      // of recent

	pagesMu sync.Mutex
	pages   map[uint64]*page // by number
	order   []uint64         // the oldest first
}

// page is a stretch of the stream that was read again.
type page struct {
	once   sync.Once
	events []*Event
	first  uint64 // the oldest that the stream still has, when events is empty
	err    error
}

// New looks at the stream. It begins a little before its end, so that those who come back from
// another gateway find in memory what they missed.
func New(ctx context.Context, options Options) (*Source, error) {
	info, err := bus.LookAtEvents(ctx, options.JetStream)
	if err != nil {
		return nil, err
	}
	s := &Source{
		js: options.JetStream, decode: options.Decode, cursors: options.Cursors, epoch: epochOf(info.Created),
		history: options.History, historyBytes: options.HistoryBytes, pages: map[uint64]*page{},
	}
	s.position = max(info.State.FirstSeq, 1) - 1
	if warm := uint64(max(s.history, 0)); info.State.LastSeq > s.position+warm {
		s.position = info.State.LastSeq - warm
	}
	return s, nil
}

// Feed gives every event after position to take, in order, until ctx ends or the stream cannot be read.
func (s *Source) Feed(ctx context.Context, take func(*Event)) error {
	info, err := bus.LookAtEvents(ctx, s.js)
	if err != nil {
		return err
	}
	if epochOf(info.Created) != s.epoch {
		return ErrEpoch
	}
	return bus.Follow(ctx, s.js, s.Position(), false, func(message jetstream.Msg) error {
		e, err := s.read1(message)
		if e == nil {
			return err
		}
		take(e)
		return nil
	})
}

// ErrEpoch says that the stream was made anew: nothing that is known of it holds.
var ErrEpoch = errors.New("the stream of events was made anew")

// read1 reads one message. What it carries may not be readable; its place is.
func (s *Source) read1(message jetstream.Msg) (*Event, error) {
	m, err := bus.Decode(message)
	if err != nil {
		return nil, err
	}
	e := &Event{Event: bff.Event{Sequence: m.Sequence, At: m.Time}, size: len(m.Data) + 500}
	e.Cursor = s.cursors.Write(Position{s.epoch, m.Sequence})
	entity, change, id, err := bus.ParseEventSubject(m.Subject)
	if err != nil {
		return e, err
	}
	e.Entity, e.Change, e.ID = bff.Entity(entity), change, id
	if err := s.decode(&e.Event, m.Data); err != nil {
		e.Node = nil
		return e, err
	}
	return e, nil
}

// Keep adds the event that feed gave. When events before it are lost it gives the gap as well.
func (s *Source) Keep(e *Event) (lost *Event, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Sequence <= s.position {
		return nil, false
	}
	if e.Sequence > s.position+1 {
		lost = s.Gap(s.position, e.Sequence-1)
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
	return lost, true
}

func (s *Source) Gap(after, last uint64) *Event {
	to := s.cursors.Write(Position{s.epoch, last})
	return &Event{
		Event:  bff.Event{Sequence: last, At: time.Now()},
		Cursor: to,
		Gap:    &Gap{From: s.cursors.Write(Position{s.epoch, after}), To: to},
	}
}

// Position is the last event that was fed.
func (s *Source) Position() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position
}

// Cursor is the cursor of the last event that was fed.
func (s *Source) Cursor() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursors.Write(Position{s.epoch, s.position})
}

// Read gives some of the events after the sequence, without a hole or after a gap that says so; none
// when that was the last one fed.
func (s *Source) Read(ctx context.Context, after uint64) ([]*Event, error) {
	events, known := s.remembered(after)
	if known {
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

// remembered is what is in memory after the sequence; known is false when it has to be read.
func (s *Source) remembered(after uint64) (events []*Event, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after >= s.position {
		return nil, true
	}
	if len(s.recent) == 0 || after+1 < s.recent[0].Sequence {
		return nil, false
	}
	from := int(after + 1 - s.recent[0].Sequence)
	return slices.Clone(s.recent[from:min(from+readMost, len(s.recent))]), true
}

// page gives the events after the sequence that are on its page; when there are none any more, the
// first that the stream has.
func (s *Source) page(ctx context.Context, after uint64) (events []*Event, first uint64, err error) {
	number := after / pageSize
	p := s.pageNumber(number)
	p.once.Do(func() { p.load(ctx, s, number) })
	if p.err != nil || len(p.events) == 0 || p.events[len(p.events)-1].Sequence <= after {
		s.forget(number, p) // another time it may be there
	}
	if p.err != nil {
		return nil, 0, p.err
	}
	from, _ := slices.BinarySearchFunc(p.events, after+1, func(e *Event, sequence uint64) int {
		return int(int64(e.Sequence) - int64(sequence))
	})
	events = p.events[from:]
	if len(events) == 0 && p.first <= after+1 {
		return nil, 0, errAway
	}
	return events, p.first, nil
}

func (s *Source) pageNumber(number uint64) *page {
	s.pagesMu.Lock()
	defer s.pagesMu.Unlock()
	if p, ok := s.pages[number]; ok {
		return p
	}
	if len(s.order) == pagesKept {
		delete(s.pages, s.order[0])
		s.order = s.order[1:]
	}
	p := &page{}
	s.pages[number] = p
	s.order = append(s.order, number)
	return p
}

func (s *Source) forget(number uint64, p *page) {
	s.pagesMu.Lock()
	defer s.pagesMu.Unlock()
	if s.pages[number] != p {
		return
	}
	delete(s.pages, number)
	s.order = slices.DeleteFunc(s.order, func(n uint64) bool { return n == number })
}

// load reads the page from the stream. Others wait for it, so it is not theirs to cancel.
func (p *page) load(ctx context.Context, s *Source, number uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pageWait)
	defer cancel()
	info, err := bus.LookAtEvents(ctx, s.js)
	if err != nil {
		p.err = err
		return
	}
	if epochOf(info.Created) != s.epoch {
		p.err = ErrEpoch
		return
	}
	start, end := max(number*pageSize+1, info.State.FirstSeq), min((number+1)*pageSize, s.Position())
	if p.first = info.State.FirstSeq; start > end {
		return
	}
	p.events, p.err = s.fetch(ctx, start, end)
}

// fetch reads the events from start to end from the stream.
func (s *Source) fetch(ctx context.Context, start, end uint64) ([]*Event, error) {
	consumer, err := s.js.CreateConsumer(ctx, bus.Events, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: start, AckPolicy: jetstream.AckNonePolicy,
		InactiveThreshold: time.Minute, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("read the stream of events: %w", err)
	}
	defer func() {
		_ = s.js.DeleteConsumer(context.WithoutCancel(ctx), bus.Events, consumer.CachedInfo().Name) // else it ends by itself
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batch, err := consumer.Fetch(int(end-start+1), jetstream.FetchContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the stream of events: %w", err)
	}
	var events []*Event
	for message := range batch.Messages() {
		e, err := s.read1(message)
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
	return nil, errors.Join(errAway, batch.Error())
}

// Restart forgets all, for a stream that was made anew.
func (s *Source) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pageWait)
	defer cancel()
	info, err := bus.LookAtEvents(ctx, s.js)
	if err != nil {
		return err
	}
	epoch, position := epochOf(info.Created), max(info.State.FirstSeq, 1)-1
	s.pagesMu.Lock()
	s.pages, s.order = map[uint64]*page{}, nil
	s.pagesMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch, s.position, s.recent, s.bytes = epoch, position, nil, 0
	return nil
}

func (s *Source) Epoch() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch
}

// Last is the last event of the stream: the one that was fed, or, when the sequence is beyond it, what
// the stream says, as another gateway may have been fed more. If it cannot be asked, the sequence is
// believed.
func (s *Source) Last(ctx context.Context, sequence uint64) uint64 {
	if at := s.Position(); sequence <= at {
		return at
	}
	ctx, cancel := context.WithTimeout(ctx, pageWait)
	defer cancel()
	info, err := bus.LookAtEvents(ctx, s.js)
	if err != nil {
		return sequence
	}
	return info.State.LastSeq
}
