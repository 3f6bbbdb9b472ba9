// Package gpx reads the tracks of GPX 1.1 and 1.0 files (https://www.topografix.com/GPX/1/1/): each track is a trip,
// and each segment after the first starts after a pause. It accepts all namespaces and extensions. Routes and
// waypoints are skipped, because they are plans. No entity of a document type declaration is expanded or fetched.
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
// A point without a time between two timed points is timed by its share of the distance between them. A track without
// any time starts at Options.Start, or else at the time of the file's metadata, with an assumed speed of 10 m/s. Each
// run of points that cannot be timed is one Fault.
//
// A truncated file yields the points before its end, then an error with the line.
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
		opts: opts, start: opts.Start, out: out,
	}
	d.xml.CharsetReader = charset
	return d.read()
}

// errStopped means that the caller ended the iteration.
var errStopped = errors.New("the reader was stopped")

// sink yields fixes and faults to the caller.
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

// charset decodes the legacy encoding of old recorders.
func charset(label string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "us-ascii", "ascii":
		return in, nil
	case "iso-8859-1", "latin1":
		return &latin1{in: in}, nil
	}
	return nil, fmt.Errorf("the encoding %q is not known: save the file as UTF-8", label)
}

// latin1 converts ISO 8859-1 to UTF-8, byte by byte, so that the decoder counts lines correctly.
type latin1 struct {
	in    io.Reader
	buf   [utf8.UTFMax]byte
	spare byte // the second byte of the last rune, or 0
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
