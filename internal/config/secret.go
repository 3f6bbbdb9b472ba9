package config

import "log/slog"

// Secret is a setting that logs, errors and dumps mask. The variable SLUICE_…_FILE may name its file.
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

// GoString masks the secret for %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// LogValue masks the secret in logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText masks the secret in JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
