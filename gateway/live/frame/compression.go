package frame

import (
	"bytes"
	"compress/flate"
	"sync"
)

// CompressFrom is the payload size, in bytes, from which compression pays.
const CompressFrom = 1 << 10

// compressedText is finalText with the bit of permessage-deflate (RFC 7692, section 6).
const compressedText = finalText | 0x40

// deflater compresses each message independently, so no state per connection is needed.
type deflater struct {
	buffer bytes.Buffer
	writer *flate.Writer
}

var deflaters = sync.Pool{New: func() any {
	d := &deflater{}
	d.writer, _ = flate.NewWriter(&d.buffer, flate.BestSpeed) // fails only for an unknown level
	return d
}}

// AppendCompressed appends the compressed form of an uncompressed text frame.
func AppendCompressed(b, frame []byte) []byte {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.buffer.Reset()
	d.writer.Reset(&d.buffer)
	message := frame[headerLength(frame):]
	_, err := d.writer.Write(message)
	if err != nil || d.writer.Flush() != nil {
		return append(b, frame...) // not reached: a write to memory does not fail
	}
	compressed := bytes.TrimSuffix(d.buffer.Bytes(), []byte{0, 0, 0xff, 0xff}) // RFC 7692, section 7.2.1
	return append(appendHeader(b, compressedText, len(compressed)), compressed...)
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
