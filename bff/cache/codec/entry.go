package codec

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/sluicehq/sluice/bff/cache/versions"
)

// Header precedes the value of an entry in Redis.
type Header struct {
	Absent    bool // the service has no value
	ExpiresAt time.Time
	Stamp     versions.Stamp
}

// An entry in Redis has a checksum of the rest, the flag of a value, the expiry in milliseconds of Unix time, the
// versions of its stamp, and the value.
const (
	checksumSize = 4
	headerSize   = checksumSize + 1 + 8 + 2*versions.Size
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// EncodeEntry encodes an entry for Redis.
func (c *Codec) EncodeEntry(h Header, value any) []byte {
	b := make([]byte, checksumSize, 512)
	b = append(b, flag(!h.Absent))
	b = binary.LittleEndian.AppendUint64(b, uint64(h.ExpiresAt.UnixMilli()))
	b = h.Stamp.Own.Append(h.Stamp.All.Append(b))
	if !h.Absent {
		b = c.Append(b, value)
	}
	binary.LittleEndian.PutUint32(b, checksum(b[checksumSize:]))
	return b
}

// DecodeEntry decodes an entry from Redis into the pointer's value.
func (c *Codec) DecodeEntry(b []byte, pointer any) (Header, error) {
	if len(b) < headerSize || binary.LittleEndian.Uint32(b) != checksum(b[checksumSize:]) || b[checksumSize] > 1 {
		return Header{}, ErrCorrupt
	}
	fields := b[checksumSize+1 : headerSize]
	h := Header{
		Absent:    b[checksumSize] == 0,
		ExpiresAt: time.UnixMilli(int64(binary.LittleEndian.Uint64(fields))),
		Stamp:     versions.Stamp{All: versions.Decode(fields[8:]), Own: versions.Decode(fields[8+versions.Size:])},
	}
	if h.Absent {
		return h, nil
	}
	return h, c.Decode(b[headerSize:], pointer)
}

// Pack appends an encoded entry to a page, which is one value in Redis.
func Pack(page []byte, id string, entry []byte) []byte {
	page = append(binary.AppendUvarint(page, uint64(len(id))), id...)
	return append(binary.AppendUvarint(page, uint64(len(entry))), entry...)
}

// Unpack returns the encoded entries of a page by their ids.
func Unpack(page []byte) (map[string][]byte, error) {
	entries := map[string][]byte{}
	for d := (&decoder{rest: page}); len(d.rest) > 0; {
		id := string(d.next(d.length()))
		entry := d.next(d.length())
		if d.err != nil {
			return nil, d.err
		}
		entries[id] = entry
	}
	return entries, nil
}
