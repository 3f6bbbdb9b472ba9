package sqldb

import (
	"database/sql"
	"encoding/json"
	"time"
)

// Micros converts a time to its stored form.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Time converts a stored time back.
func Time(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// NullMicros converts an optional time to its stored form.
func NullMicros(t *time.Time) sql.NullInt64 {
	if t == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: true}
}

// NullTime converts a stored optional time back.
func NullTime(micros sql.NullInt64) *time.Time {
	if !micros.Valid {
		return nil
	}
	t := Time(micros.Int64)
	return &t
}

// NullJSON encodes an optional value as JSON.
func NullJSON[T any](value *T) (sql.NullString, error) {
	if value == nil {
		return sql.NullString{}, nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return sql.NullString{}, err
	}
	return sql.NullString{String: string(text), Valid: true}, nil
}

// NullValue decodes an optional value from JSON.
func NullValue[T any](text sql.NullString) (*T, error) {
	if !text.Valid {
		return nil, nil
	}
	var value T
	if err := json.Unmarshal([]byte(text.String), &value); err != nil {
		return nil, err
	}
	return &value, nil
}

// Texts converts values of a named type to plain texts, for Where.In.
func Texts[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, value := range values {
		all[i] = string(value)
	}
	return all
}
