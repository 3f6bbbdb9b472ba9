// Package sls reads telescope schedules of the observatory system Talon and its successors, telrun.sls: one record
// per request, with numbered lines such as "0 status: D", "1 Start JD: 2460031.61021 (2023/3/28 02:38:42 UTC)", "7
// EDB: Barnard 33,f,05:40:59,-02:27:30,0.00,2000,0" and "13 duration, secs: 60".
//
// Line 0 starts a record; the telescope changes its status from N(ew) to D(one) or F(ailed). The other lines are
// identified by their labels, because their numbers differ between versions. EDB is a line of XEphem's database
// format (https://xephem.github.io/XEphem/Site/help/xephem.html, section 7.1.2). A bad record is one Fault.
package sls

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/source"
	"github.com/sluicehq/sluice/recordings/internal/value"
)

// maxLines bounds the lines of one record, and the lines before the first. Known records have 22.
const maxLines = 256

var lineShape = regexp.MustCompile(`^ {0,8}(\d{1,3})\s+([^:]{1,64}):(.*)$`)

// Observations reads all requests of a schedule. Site and Telescope are empty, because a schedule lacks them.
func Observations(r io.Reader, opts recordings.Options) iter.Seq2[recordings.Observation, error] {
	return func(yield func(recordings.Observation, error) bool) {
		in, err := source.Open(r)
		if err != nil {
			yield(recordings.Observation{}, fmt.Errorf("read schedule: %w", err))
			return
		}
		s := &schedule{in: in, zone: opts.Zone(), requests: map[string]int{}}
		for {
			o, err := s.next()
			if err == io.EOF {
				return
			}
			if _, isFault := errors.AsType[recordings.Fault](err); err != nil && !isFault {
				yield(recordings.Observation{}, fmt.Errorf("read schedule: %w", err))
				return
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

type schedule struct {
	in      *bufio.Reader
	line    int
	ahead   *numbered // the first line of the next record
	records int

	zone     *time.Location
	requests map[string]int // by what they have in common: see keyOf
}

// numbered is one line of a record. An invalid line has no label.
type numbered struct {
	line    int
	number  int
	label   string // normalised by value.Name
	content string
}

// record has the lines of one request by their labels.
type record struct {
	line   int // of its status
	fields map[string]string
}

func (s *schedule) next() (recordings.Observation, error) {
	first, err := s.begin()
	if err != nil {
		return recordings.Observation{}, err
	}
	s.records++
	rec := record{line: first.line, fields: map[string]string{first.label: first.content}}
	fault := s.fill(&rec)
	if fault != nil {
		return recordings.Observation{}, fault
	}
	o, err := rec.observation()
	if err != nil {
		return recordings.Observation{}, recordings.Fault{Line: rec.line, Reason: err.Error()}
	}
	o.Key = s.keyOf(o)
	return o, nil
}

// keyOf identifies a request by what a schedule does not correct: its programme, target, filter and night, and its
// number among equal requests. A night is from noon to noon in the time zone.
func (s *schedule) keyOf(o recordings.Observation) string {
	night := o.Start.In(s.zone).Add(-12 * time.Hour).Format(time.DateOnly)
	key := value.Key("observation", o.Programme, o.Target, o.Instrument, night)
	if s.requests[key]++; s.requests[key] > 1 {
		return value.Key(key, strconv.Itoa(s.requests[key]))
	}
	return key
}

// begin finds the first line of the next record.
func (s *schedule) begin() (numbered, error) {
	l, err := s.read()
	begins := err == nil && l.number == 0 && l.label == "status"
	switch {
	case begins:
		return l, nil
	case s.records == 0 && (err == io.EOF || s.line > maxLines):
		return l, errNoSchedule
	case err != nil:
		return l, err
	}
	return l, s.skipStray(l)
}

// skipStray skips all lines up to the next record, and returns one Fault.
func (s *schedule) skipStray(stray numbered) error {
	for more := 0; ; more++ {
		l, err := s.read()
		begins := err == nil && l.number == 0 && l.label == "status"
		switch {
		case err != nil && err != io.EOF:
			return err
		case !begins && s.records == 0 && (err == io.EOF || s.line > maxLines):
			return errNoSchedule
		case !begins && err == nil:
			continue
		case begins:
			s.ahead = &l
		}
		reason := "the line belongs to no record: “0 status:” begins one"
		if more > 0 {
			reason += fmt.Sprintf(" (so do %d lines after it)", more)
		}
		return recordings.Fault{Line: stray.line, Reason: reason}
	}
}

var errNoSchedule = errors.New("the file is no telescope schedule: no line is “0 status:”")

// fill reads the lines up to the next record. It continues after a bad line, so that a bad record is one Fault.
func (s *schedule) fill(rec *record) error {
	var fault error
	for n := 0; ; n++ {
		l, err := s.read()
		if err == io.EOF {
			return fault
		}
		if err != nil {
			return err
		}
		if l.number == 0 && l.label == "status" {
			s.ahead = &l
			return fault
		}
		if err := rec.add(l, n); err != nil && fault == nil {
			fault = err
		}
	}
}

func (r *record) add(l numbered, n int) error {
	_, twice := r.fields[l.label]
	switch {
	case n >= maxLines:
		return recordings.Fault{Line: l.line, Reason: fmt.Sprintf("the record has more than %d lines", maxLines)}
	case l.label == "":
		return recordings.Fault{Line: l.line, Reason: "the line is not “number label: value”: " + value.Quote(l.content)}
	case twice:
		return recordings.Fault{Line: l.line, Reason: fmt.Sprintf("the record has %s twice", value.Quote(l.label))}
	}
	content, err := value.Text(l.content)
	if err != nil {
		return recordings.Fault{Line: l.line, Reason: l.label + " " + err.Error()}
	}
	r.fields[l.label] = content
	return nil
}

func (s *schedule) read() (numbered, error) {
	if l := s.ahead; l != nil {
		s.ahead = nil
		return *l, nil
	}
	for {
		text, err := s.in.ReadSlice('\n')
		s.line++
		if err == bufio.ErrBufferFull {
			return numbered{}, fmt.Errorf("line %d is longer than %d bytes", s.line, len(text))
		}
		if text = bytes.TrimRight(text, "\r\n \t"); len(text) > 0 && (err == nil || err == io.EOF) {
			return parseLine(s.line, text), nil
		}
		if err != nil {
			return numbered{}, err
		}
	}
}

func parseLine(line int, text []byte) numbered {
	m := lineShape.FindSubmatch(text)
	if m == nil {
		return numbered{line: line, number: -1, content: string(text)}
	}
	number, _ := strconv.Atoi(string(m[1])) // up to three digits, cannot fail
	return numbered{line: line, number: number, label: value.Name(string(m[2])), content: string(m[3])}
}
