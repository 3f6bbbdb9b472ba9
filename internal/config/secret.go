package config

import "log/slog"

// Secret is a setting that logs, errors and dumps mask. The variable SLUICE_…_FILE may name a file that contains it.
type Secret string

const mask = "********"

// Reveal returns the secret in plain text.
func (s Secret) Reveal() string { return string(s) }

// String returns a mask, or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString returns String in quotes, so that %#v masks the secret, too.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// LogValue returns String, so that log lines mask the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns String, so that JSON and YAML mask the secret, too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
