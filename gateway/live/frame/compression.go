package frame

import (
	"bytes"
	"compress/flate"
	"sync"
)

// CompressFrom is from how many bytes on a message is compressed.
const CompressFrom = 1 << 10

// compressedText is finalText with the bit of permessage-deflate (RFC 7692, section 6).
const compressedText = finalText | 0x40

// deflater compresses one message after another, without the context of those before: nothing is kept
// for a connection.
type deflater struct {
	out    bytes.Buffer
	writer *flate.Writer
}

var deflaters = sync.Pool{New: func() any {
	d := &deflater{}
	d.writer, _ = flate.NewWriter(&d.out, flate.BestSpeed) // the level is one that there is
	return d
}}

// AppendCompressed adds the frame, which is an uncompressed one, as a compressed one.
func AppendCompressed(b, frame []byte) []byte {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out.Reset()
	d.writer.Reset(&d.out)
	message := frame[headerLength(frame):]
	_, err := d.writer.Write(message)
	if err != nil || d.writer.Flush() != nil {
		return append(b, frame...) // memory does not fail
	}
	packed := bytes.TrimSuffix(d.out.Bytes(), []byte{0, 0, 0xff, 0xff}) // RFC 7692, section 7.2.1
	return append(appendHeader(b, compressedText, len(packed)), packed...)
}

func headerLength(frame []byte) int {
	switch frame[1] {
	case 126:
		return 4
	case 127:
		return 10
	}
	return 2
}
