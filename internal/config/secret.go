package config

import "log/slog"

// Secret is a setting that no log, error or dump shows. Its variable may name a file that holds it
// instead: SLUICE_…_FILE.
type Secret string

const mask = "********"

// Reveal gives the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String is a mask, or nothing when there is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString is String in quotes, so that %#v shows no secret either.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// LogValue is String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, so that JSON and YAML show no secret either.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
