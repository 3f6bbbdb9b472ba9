// Package gpx reads the tracks of GPX 1.1 and 1.0 files
// (https://www.topografix.com/GPX/1/1/): each track is a trip, and each of its
// segments after the first a new start after a pause.
//
// Namespaces, prefixes and extensions are whatever the recorder made of them.
// Points without a time get one from their neighbours, see [Fixes]. Routes and
// waypoints are plans and places, not recordings, and are passed over. Document
// type declarations are not obeyed: no entity is expanded, nothing is fetched.
package gpx

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/source"
)

// Fixes reads the points of every track in the order of the file.
//
// A point without a time, between two of its track that have one, is timed by
// its share of the way between them. A track without any time starts at
// Options.Start, or else at the time of the file's metadata, and is assumed to
// have been travelled at 10 m/s. Points that cannot be timed are one Fault a run.
//
// A file that is cut short yields what came before the cut, then an error that
// names the line.
func Fixes(r io.Reader, opts recordings.Options) iter.Seq2[recordings.Fix, error] {
	return func(yield func(recordings.Fix, error) bool) {
		err := read(r, opts, sink{yield})
		if err != nil && !errors.Is(err, errStopped) {
			yield(recordings.Fix{}, fmt.Errorf("read GPX: %w", err))
		}
	}
}

func read(r io.Reader, opts recordings.Options, out sink) error {
	in, err := source.Open(r)
	if err != nil {
		return err
	}
	bounded := source.NewBounded(in)
	d := &document{
		in: bounded, xml: xml.NewDecoder(bounded),
		zone: opts.Zone(), start: opts.Start, out: out,
	}
	d.xml.CharsetReader = charset
	return d.read()
}

// errStopped says that the caller ranges no further.
var errStopped = errors.New("the reader was stopped")

// sink hands fixes and faults to the caller's loop.
type sink struct {
	yield func(recordings.Fix, error) bool
}

func (s sink) fix(f recordings.Fix) error {
	if !s.yield(f, nil) {
		return errStopped
	}
	return nil
}

func (s sink) fault(line int, format string, args ...any) error {
	fault := recordings.Fault{Line: line, Reason: fmt.Sprintf(format, args...)}
	if !s.yield(recordings.Fix{}, fault) {
		return errStopped
	}
	return nil
}

// charset decodes the one legacy encoding that old recorders declare.
func charset(label string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "us-ascii", "ascii":
		return in, nil
	case "iso-8859-1", "latin1":
		return &latin1{in: in}, nil
	}
	return nil, fmt.Errorf("the encoding %q is not known: save the file as UTF-8", label)
}

// latin1 turns ISO 8859-1, whose bytes are the code points, into UTF-8. It reads
// byte by byte, so that lines are counted as they are decoded.
type latin1 struct {
	in    io.Reader
	buf   [utf8.UTFMax]byte
	spare byte // the second byte of the last rune, 0 if there is none
}

func (l *latin1) ReadByte() (byte, error) {
	if b := l.spare; b != 0 {
		l.spare = 0
		return b, nil
	}
	if _, err := io.ReadFull(l.in, l.buf[:1]); err != nil {
		return 0, err
	}
	if utf8.EncodeRune(l.buf[:], rune(l.buf[0])) == 2 {
		l.spare = l.buf[1]
	}
	return l.buf[0], nil
}

func (l *latin1) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := l.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}
