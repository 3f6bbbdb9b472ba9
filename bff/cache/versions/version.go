// Package versions holds the version of each tag of the cache: in the memory of a gateway that runs alone, or in the
// Redis that several gateways share, which holds cached values too.
//
// It promises: a write marks its tags before the service receives it, and releases them with a new version before its
// caller receives the response. So an entry is current exactly if the version under which it was read still holds
// (docs/adr/0006-versioned-cache.md). If Redis is unavailable, Lookup fails and the services respond; invalidations wait
// in a backlog, and this gateway caches nothing until Redis has them. After an outage, a restart or a failover of Redis
// a quarantine passes before an entry is served.
package versions

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
)

// Size is the length of an encoded Version in bytes.
const Size = 16

// Version is the version of a tag. Each version is drawn once at random, so no two versions are equal, even after Redis
// has lost its data. The zero Version means that a write of the tag is in progress: no entry of the tag may be served
// or stored.
type Version struct{ a, b uint64 }

// IsStable reports whether no write of the tag is in progress.
func (v Version) IsStable() bool { return v != Version{} }

// New draws a Version.
func New() Version {
	var b [Size]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] |= 1              // not the zero Version
	return Decode(b[:])
}

// Decode decodes what Append encoded.
func Decode(b []byte) Version {
	return Version{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

// Append appends the encoded version.
func (v Version) Append(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, v.a), v.b)
}

// String returns the form of the version in Redis.
func (v Version) String() string { return hex.EncodeToString(v.Append(nil)) }

// parse parses what String returned. Any other text, such as the mark of a writer, is the zero Version.
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

// Stamp is the versions under which an entry was read: of the tag of every entry, and of its own tags.
type Stamp struct{ All, Own Version }

// IsStable reports whether no write of its tags is in progress.
func (s Stamp) IsStable() bool { return s.All.IsStable() && s.Own.IsStable() }
