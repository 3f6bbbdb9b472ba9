// Package ids creates and parses identifiers. An identifier is a TypeID
// (https://github.com/jetify-com/typeid/tree/main/spec): the kind, an underscore, and a UUIDv7 as 26 characters of
// Crockford's base32, as in "trip_01jd2k0f3qe8x9w5t7v6m4n2p0". It sorts by time of creation, and is the same in
// stores, logs, events and the API. To callers it is opaque.
package ids

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Kind is the kind of entity that an identifier names.
type Kind string

// The kinds. Those with visibility rules have a row in internal/entity.
const (
	Account  Kind = "account"
	APIKey   Kind = "apikey"
	Session  Kind = "session"
	Device   Kind = "device"
	Command  Kind = "command"
	Trip     Kind = "trip"
	Job      Kind = "job"
	JobRun   Kind = "run"
	Activity Kind = "activity"
	Event    Kind = "event"
	Config   Kind = "config"
	Call     Kind = "call"
	Image    Kind = "image"
)

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const suffixLength = 26

// New returns a new unique identifier.
func New(kind Kind) string {
	return string(kind) + "_" + encode(uuid.Must(uuid.NewV7()))
}

// Parse returns the kind of an identifier, and refuses every string that New cannot return.
func Parse(id string) (Kind, error) {
	kind, suffix, ok := strings.Cut(id, "_")
	if !ok || kind == "" || len(kind) > 63 || strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz") != "" {
		return "", fmt.Errorf("%.80q is not an id", id)
	}
	if len(suffix) != suffixLength || suffix[0] > '7' || strings.Trim(suffix, alphabet) != "" {
		return "", fmt.Errorf("%.80q is not an id", id)
	}
	return Kind(kind), nil
}

// Check refuses an identifier of another kind.
func Check(kind Kind, id string) error {
	got, err := Parse(id)
	if err != nil {
		return err
	}
	if got != kind {
		return fmt.Errorf("%q is the id of a %s, not of a %s", id, got, kind)
	}
	return nil
}

// encode encodes 128 bits as 26 characters; the first one carries 3 bits.
func encode(u uuid.UUID) string {
	var out [suffixLength]byte
	var acc uint32
	bits := 0
	at := suffixLength - 1
	for i := len(u) - 1; i >= 0; i-- {
		acc |= uint32(u[i]) << bits
		for bits += 8; bits >= 5; bits -= 5 {
			out[at] = alphabet[acc&31]
			acc >>= 5
			at--
		}
	}
	out[0] = alphabet[acc&31]
	return string(out[:])
}
