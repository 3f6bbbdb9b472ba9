package cache

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
)

// version is what a tag is at until something of it is written. No two versions of a tag are the same,
// whoever made them and whatever was lost since. The zero version is none: then the tag is being
// written, and nothing may be taken from the cache or put into it under the tag.
type version struct{ a, b uint64 }

func (v version) settled() bool { return v != version{} }

// newVersion draws one that nobody has had.
func newVersion() version {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] |= 1              // not the zero version
	return versionOf(b[:])
}

func versionOf(b []byte) version {
	return version{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

func (v version) append(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, v.a), v.b)
}

// String is as it stands in Redis.
func (v version) String() string { return hex.EncodeToString(v.append(nil)) }

// parseVersion reads what String wrote; the zero version for anything else, as for the mark of a
// writer.
func parseVersion(text string) version {
	var b [16]byte
	if len(text) != hex.EncodedLen(len(b)) {
		return version{}
	}
	if _, err := hex.Decode(b[:], []byte(text)); err != nil {
		return version{}
	}
	return versionOf(b[:])
}

// stamp is the versions under which an entry was read: of everything, and of what it was made of.
type stamp struct{ all, of version }

func (s stamp) settled() bool { return s.all.settled() && s.of.settled() }
