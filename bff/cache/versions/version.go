// Package versions has the version of each tag of the cache, in memory or in the Redis that gateways share, which has
// cached values too.
//
// A write marks its tags before the service receives it, and releases them with a new version before its response. So
// an entry is current exactly if the version under which it was read is current (docs/adr/0006-versioned-cache.md).
// Without Redis, Lookup fails and the services respond; invalidations wait in a backlog, and this gateway caches
// nothing until Redis has them. After an outage, a restart or a failover of Redis a quarantine passes before an entry
// is served.
package versions

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
)

// Size is the length of an encoded Version in bytes.
const Size = 16

// Version is the version of a tag. It is drawn at random, so no two versions are equal, even after Redis has lost its
// data. The zero Version means a write in progress: no entry of the tag may be served or stored.
type Version struct{ a, b uint64 }

// IsStable reports that no write of the tag is in progress.
func (v Version) IsStable() bool { return v != Version{} }

// New draws a Version.
func New() Version {
	var b [Size]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] |= 1              // not the zero Version
	return Decode(b[:])
}

// Decode decodes the result of Append.
func Decode(b []byte) Version {
	return Version{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

// Append appends the encoded version.
func (v Version) Append(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, v.a), v.b)
}

// String returns the version as in Redis.
func (v Version) String() string { return hex.EncodeToString(v.Append(nil)) }

// parse parses the result of String. Any other text, such as a mark, is the zero Version.
func parse(text string) Version {
	var b [Size]byte
	if len(text) != hex.EncodedLen(len(b)) {
		return Version{}
	}
	if _, err := hex.Decode(b[:], []byte(text)); err != nil {
		return Version{}
	}
	return Decode(b[:])
}

// Stamp has the versions under which an entry was read: of the tag of every entry, and of its own tags.
type Stamp struct{ All, Own Version }

// IsStable reports that no write of its tags is in progress.
func (s Stamp) IsStable() bool { return s.All.IsStable() && s.Own.IsStable() }
