package gpx

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/source"
	"github.com/sluicehq/sluice/recordings/internal/value"
)

const (
	maxDepth = 64   // elements within elements
	maxText  = 4096 // bytes of text in an element that is read
)

// document walks the elements of a file. The method of an element is called after its start tag, and returns after
// its end tag.
type document struct {
	in    *source.Bounded
	xml   *xml.Decoder
	opts  recordings.Options
	out   sink
	depth int

	start  time.Time // of a track without any time
	tracks int
	others int  // routes and waypoints
	paced  bool // the assumed speed was reported
}

func (d *document) assumePace() {
	if !d.paced {
		d.paced = true
		d.opts.Assumed(fmt.Sprintf("a track has no time, and is timed at an assumed speed of %d m/s", assumedSpeed))
	}
}

func (d *document) read() error {
	root, err := d.root()
	if err != nil {
		return err
	}
	if root != "gpx" {
		return fmt.Errorf("the root element is <%s>, not <gpx>", root)
	}
	if err := d.children(d.gpx); err != nil {
		return err
	}
	if d.tracks == 0 {
		return fmt.Errorf("the file has no track (<trk>), only %d routes and waypoints", d.others)
	}
	return nil
}

func (d *document) root() (string, error) {
	for {
		token, err := d.token()
		if err != nil {
			return "", err
		}
		if start, ok := token.(xml.StartElement); ok {
			return start.Name.Local, nil
		}
	}
}

func (d *document) gpx(child xml.StartElement) error {
	switch child.Name.Local {
	case "trk":
		return d.track()
	case "metadata":
		return d.children(d.metadata)
	case "time": // its position in GPX 1.0
		return d.metadata(child)
	case "rte", "wpt":
		d.others++
	}
	return d.skip()
}

func (d *document) metadata(child xml.StartElement) error {
	if child.Name.Local != "time" {
		return d.skip()
	}
	text, err := d.text()
	if err != nil || !d.start.IsZero() {
		return err
	}
	if t, err := value.Time(text, d.opts.Zone()); err == nil {
		d.start = t
	}
	return nil
}

func (d *document) track() error {
	d.tracks++
	t := &track{number: d.tracks, key: fmt.Sprint(d.tracks), start: d.start, out: d.out, onPace: d.assumePace}
	err := d.children(func(child xml.StartElement) error {
		switch child.Name.Local {
		case "name":
			text, err := d.text()
			t.rename(text)
			return err
		case "trkseg":
			t.paused = true
			return d.children(func(child xml.StartElement) error { return d.point(t, child) })
		}
		return d.skip()
	})
	if errors.Is(err, errStopped) {
		return err
	}
	// A truncated track yields its points before the error.
	if ended := t.end(); ended != nil {
		return ended
	}
	return err
}

func (d *document) point(t *track, start xml.StartElement) error {
	if start.Name.Local != "trkpt" {
		return d.skip()
	}
	line, _ := d.xml.InputPos()
	t.points++
	var written string
	err := d.children(func(child xml.StartElement) (err error) {
		if child.Name.Local == "time" {
			written, err = d.text()
			return err
		}
		return d.skip()
	})
	if err != nil {
		return err
	}
	fix, err := d.fix(start, written)
	if err != nil {
		return d.out.fault(line, "track %d, point %d: %v", t.number, t.points, err)
	}
	fix.Line = line
	return t.add(fix)
}

// fix reads a point. Without a time it has the zero time.
func (d *document) fix(start xml.StartElement, written string) (fix recordings.Fix, err error) {
	if fix.Latitude, err = value.Latitude(attribute(start, "lat")); err != nil {
		return fix, fmt.Errorf("latitude %w", err)
	}
	if fix.Longitude, err = value.Longitude(attribute(start, "lon")); err != nil {
		return fix, fmt.Errorf("longitude %w", err)
	}
	if written == "" {
		return fix, nil
	}
	if fix.At, err = value.Time(written, d.opts.Zone()); err == nil {
		err = d.opts.CheckPast(fix.At)
	}
	if err != nil {
		return fix, fmt.Errorf("time %w", err)
	}
	return fix, nil
}

func attribute(start xml.StartElement, name string) string {
	for _, a := range start.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

func (d *document) children(read func(xml.StartElement) error) error {
	for {
		token, err := d.token()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if err := read(t); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		}
	}
}

// skip ignores the rest of the current element.
func (d *document) skip() error {
	for outside := d.depth - 1; d.depth > outside; {
		if _, err := d.token(); err != nil {
			return err
		}
	}
	return nil
}

// text returns the trimmed text of the current element, without its children.
func (d *document) text() (string, error) {
	var text strings.Builder
	inside := d.depth
	for d.depth >= inside {
		token, err := d.token()
		if err != nil {
			return "", err
		}
		if chars, ok := token.(xml.CharData); ok && d.depth == inside {
			text.Write(chars[:min(len(chars), maxText-text.Len())])
		}
	}
	return strings.ToValidUTF8(strings.TrimSpace(text.String()), ""), nil
}

func (d *document) token() (xml.Token, error) {
	d.in.Next()
	token, err := d.xml.Token()
	line, _ := d.xml.InputPos()
	if err != nil {
		return nil, explain(err, line)
	}
	switch token.(type) {
	case xml.StartElement:
		d.depth++
	case xml.EndElement:
		d.depth--
	}
	if d.depth > maxDepth {
		return nil, fmt.Errorf("line %d: elements are nested more than %d deep", line, maxDepth)
	}
	return token, nil
}

func explain(err error, line int) error {
	syntax, isSyntax := errors.AsType[*xml.SyntaxError](err)
	switch {
	case errors.Is(err, io.EOF), isSyntax && syntax.Msg == "unexpected EOF":
		return fmt.Errorf("unexpected end of file at line %d", line)
	case isSyntax:
		return fmt.Errorf("line %d: %s", line, value.Cut(syntax.Msg))
	}
	return fmt.Errorf("line %d: %w", line, err)
}
