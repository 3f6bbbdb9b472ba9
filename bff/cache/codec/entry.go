package cache

import (
	"encoding/binary"
	"hash/crc32"
	"time"
)

// An entry in Redis: a checksum of the rest, whether there is a value, until when it is good (in
// milliseconds of Unix time), the versions of its stamp, the value.
const (
	checksumSize = 4
	headSize     = checksumSize + 1 + 8 + 4*8
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func (r *read[V]) encode(e *entry, value V) []byte {
	b := make([]byte, checksumSize, 512)
	b = append(b, flag(!e.absent))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.until.UnixMilli()))
	b = e.stamp.of.append(e.stamp.all.append(b))
	if !e.absent {
		b = r.codec.append(b, value)
	}
	binary.LittleEndian.PutUint32(b, checksum(b[checksumSize:]))
	return b
}

// decode reads what encode wrote; nil for nothing, and for what does not read.
func (r *read[V]) decode(key string, b []byte) *entry {
	if b == nil {
		return nil
	}
	e, err := r.parse(b)
	if err != nil {
		r.cache.metrics.notKept(corrupt)
		r.cache.options.Logger.Warn("an entry of the cache does not read", "key", key, "error", err.Error())
		return nil
	}
	return e
}

func (r *read[V]) parse(b []byte) (*entry, error) {
	if len(b) < headSize || binary.LittleEndian.Uint32(b) != checksum(b[checksumSize:]) || b[checksumSize] > 1 {
		return nil, errCorrupt
	}
	head := b[checksumSize+1 : headSize]
	e := &entry{
		absent: b[checksumSize] == 0, size: 2 * len(b),
		until: time.UnixMilli(int64(binary.LittleEndian.Uint64(head))),
		stamp: stamp{versionOf(head[8:]), versionOf(head[24:])},
	}
	if e.absent {
		return e, nil
	}
	var value V
	if err := r.codec.read(b[headSize:], &value); err != nil {
		return nil, err
	}
	e.value = value
	return e, nil
}

// pack adds an entry to those that are one value in Redis.
func pack(to []byte, id string, entry []byte) []byte {
	to = append(binary.AppendUvarint(to, uint64(len(id))), id...)
	return append(binary.AppendUvarint(to, uint64(len(entry))), entry...)
}

// unpack gives what was packed; nothing for what does not read. Each entry has a checksum of its own.
func (r *read[V]) unpack(key string, packed []byte) map[string][]byte {
	entries := map[string][]byte{}
	for rest := (&reader{rest: packed}); len(rest.rest) > 0; {
		id := string(rest.take(rest.length(1)))
		entry := rest.take(rest.length(1))
		if rest.err != nil {
			r.cache.metrics.notKept(corrupt)
			r.cache.options.Logger.Warn("entries of the cache do not read", "key", key, "error", rest.err.Error())
			return nil
		}
		entries[id] = entry
	}
	return entries
}
