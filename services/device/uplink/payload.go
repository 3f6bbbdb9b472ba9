package uplink

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/telemetry"
)

// maxAhead is how far in the future a device's clock may be.
const maxAhead = time.Hour

func decode(payload []byte, into any) error {
	reader := json.NewDecoder(bytes.NewReader(payload))
	if err := reader.Decode(into); err != nil {
		return errs.Invalid("payload", "%s", badJSON(err))
	}
	if _, err := reader.Token(); !errors.Is(err, io.EOF) {
		return errs.Invalid("payload", "goes on after its JSON value")
	}
	return nil
}

// badJSON says what is wrong in words that are ours to keep.
func badJSON(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field != "" {
			return fmt.Sprintf("%.200s must not be a %.40s", wrong.Field, wrong.Value)
		}
		return fmt.Sprintf("must not be a %.40s", wrong.Value)
	}
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("is not JSON, at byte %d", wrong.Offset)
	}
	if refused, ok := errors.AsType[*errs.Error](err); ok {
		return refused.Message
	}
	return "is not JSON"
}

// moment is a time as devices tell it: RFC 3339, or milliseconds since 1970.
type moment struct{ time.Time }

// UnmarshalJSON reads it.
func (m *moment) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		var at time.Time
		if err := json.Unmarshal(text, &at); err != nil {
			return errs.New(errs.InvalidArgument, errs.ReasonInvalidField, "has a time that is neither RFC 3339 nor milliseconds since 1970")
		}
		m.Time = at
		return nil
	}
	millis, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return errs.New(errs.InvalidArgument, errs.ReasonInvalidField, "has a time that is neither RFC 3339 nor milliseconds since 1970")
	}
	m.Time = time.UnixMilli(millis).UTC()
	return nil
}

func orArrival(field string, sentAt *moment, arrived time.Time) (time.Time, error) {
	if sentAt == nil {
		return arrived, nil
	}
	if sentAt.After(arrived.Add(maxAhead)) {
		return time.Time{}, errs.Invalid(field, "is more than %v in the future: set the clock", maxAhead)
	}
	return sentAt.Time, nil
}

// The limits of a payload, as of a request of the gateway: how deep lists and objects nest, and how many values there are.
const (
	maxDepth  = 32
	maxValues = 20_000
)

// checkShape refuses a payload that is too deep or has too many values, before anything is decoded. Text that is not
// JSON is left to the decoder.
func checkShape(payload []byte) error {
	depth, values, quoted := 0, 1, false
	for i := 0; i < len(payload); i++ {
		switch b := payload[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			depth++
			values++
		case b == '}' || b == ']':
			depth--
		case b == ',':
			values++
		}
		if depth > maxDepth {
			return errs.Invalid("payload", "nests deeper than %d", maxDepth)
		}
		if values > maxValues {
			return errs.Invalid("payload", "has more than %d values", maxValues)
		}
	}
	return nil
}

// partialError refuses some items of a message. It unwraps to the refusal that names them.
type partialError struct{ refusal *errs.Error }

func (e *partialError) Error() string { return e.refusal.Error() }
func (e *partialError) Unwrap() error { return e.refusal }

// itemRefusals collects the refused items of one message.
type itemRefusals struct {
	first error
	named []string
	count int
}

// maxNamedItems bounds the refused items that a note names; it has the number of all.
const maxNamedItems = 20

func (r *itemRefusals) add(err error) {
	if r.count++; r.count == 1 {
		r.first = err
	}
	if len(r.named) < maxNamedItems {
		r.named = append(r.named, errs.From(err).Message)
	}
}

// err returns nil without a refusal, the refusal of the message when no item is good, and else a partial error.
func (r *itemRefusals) err(good int) error {
	switch {
	case r.count == 0:
		return nil
	case good == 0 && r.count == 1:
		return r.first
	}
	words := strings.Join(r.named, "; ")
	if more := r.count - len(r.named); more > 0 {
		words += fmt.Sprintf("; and %d more", more)
	}
	refusal := errs.Invalid("payload", "%d of %d items are refused: %s", r.count, r.count+good, words)
	if good == 0 {
		return refusal
	}
	return &partialError{refusal}
}

// sample is values at a time: {"at": "…", "values": {"temperature": 21.5}}.
type sample struct {
	At     *moment                    `json:"at"`
	Values map[string]json.RawMessage `json:"values"`
}

// readReadings reads a message of telemetry: a sample, a list of samples, or values alone. The error is partial when
// some readings are good.
func readReadings(m device.UpMessage) ([]telemetry.Reading, error) {
	samples, refusals, err := readSamples(m)
	if err != nil {
		return nil, err
	}
	var all []telemetry.Reading
	for i, s := range samples {
		at, err := orArrival(fmt.Sprintf("[%d].at", i), s.At, m.ArrivedAt)
		if err != nil {
			refusals.add(err)
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(s.Values)) {
			reading, err := readReading(key, at, s.Values[key])
			if err != nil {
				refusals.add(err)
				continue
			}
			all = append(all, reading)
		}
	}
	if len(all) == 0 && refusals.count > 0 {
		return nil, refusals.err(0)
	}
	if err := telemetry.CheckCount(len(all)); err != nil {
		return nil, err
	}
	return all, refusals.err(len(all))
}

func readReading(key string, at time.Time, text json.RawMessage) (telemetry.Reading, error) {
	var value *float64
	if err := json.Unmarshal(text, &value); err != nil {
		return telemetry.Reading{}, errs.Invalid("payload", "%.80q %s", key, badJSON(err))
	}
	if value == nil {
		return telemetry.Reading{}, errs.Invalid("payload", "%.80q must be a number", key)
	}
	return telemetry.CheckReading("values", telemetry.Reading{Key: key, At: at, Value: *value})
}

func readSamples(m device.UpMessage) (samples []sample, refusals itemRefusals, err error) {
	if first := bytes.TrimLeft(m.Payload, " \t\r\n"); len(first) > 0 && first[0] == '[' {
		var list []json.RawMessage
		if err := decode(m.Payload, &list); err != nil {
			return nil, refusals, err
		}
		for i, text := range list {
			var one sample
			if err := json.Unmarshal(text, &one); err != nil {
				refusals.add(errs.Invalid(fmt.Sprintf("[%d]", i), "%s", badJSON(err)))
				one = sample{}
			}
			samples = append(samples, one) // an empty one keeps the index of those behind it
		}
		return samples, refusals, nil
	}
	var values map[string]json.RawMessage
	if err := decode(m.Payload, &values); err != nil {
		return nil, refusals, err
	}
	if named := bytes.TrimSpace(values["values"]); len(named) > 0 && named[0] == '{' {
		var one sample
		err := decode(m.Payload, &one)
		return []sample{one}, refusals, err
	}
	return []sample{{Values: values}}, refusals, nil
}

// place is a position as devices tell it. Phones call its parts by their short names.
type place struct {
	Latitude  *float64 `json:"latitude"`
	Longitude *float64 `json:"longitude"`
	At        *moment  `json:"at"`
	Accuracy  *float64 `json:"accuracy"`

	Lat *float64 `json:"lat"`
	Lon *float64 `json:"lon"`
	Tst *int64   `json:"tst"` // seconds since 1970
	Acc *float64 `json:"acc"`
}

// readPositions reads a message of positions: one, or a list. The error is partial when some of a list are good.
func readPositions(m device.UpMessage) ([]device.Position, error) {
	list := []json.RawMessage{m.Payload}
	if first := bytes.TrimLeft(m.Payload, " \t\r\n"); len(first) > 0 && first[0] == '[' {
		if err := decode(m.Payload, &list); err != nil {
			return nil, err
		}
	}
	if len(list) == 0 || len(list) > maxPlaces {
		return nil, errs.Invalid("payload", "must be 1 to %d positions", maxPlaces)
	}
	var all []device.Position
	var refusals itemRefusals
	for i, text := range list {
		var p place
		field := fmt.Sprintf("[%d]", i)
		err := decode(text, &p)
		var position *device.Position
		if err == nil {
			position, err = p.position(field, m.ArrivedAt)
		}
		if err != nil {
			refusals.add(err)
			continue
		}
		all = append(all, *position)
	}
	return all, refusals.err(len(all))
}

const maxPlaces = 500 // a message

func (p place) position(field string, arrived time.Time) (*device.Position, error) {
	latitude, longitude, accuracy, sentAt := p.Latitude, p.Longitude, p.Accuracy, p.At
	if latitude == nil && longitude == nil {
		latitude, longitude = p.Lat, p.Lon
	}
	if accuracy == nil {
		accuracy = p.Acc
	}
	if sentAt == nil && p.Tst != nil {
		sentAt = &moment{time.Unix(*p.Tst, 0).UTC()}
	}
	if latitude == nil || longitude == nil {
		return nil, errs.Invalid(field, "needs latitude and longitude")
	}
	at, err := orArrival(field+".at", sentAt, arrived)
	if err != nil {
		return nil, err
	}
	return device.CheckPosition(field, &device.Position{Latitude: *latitude, Longitude: *longitude, At: &at, Accuracy: accuracy})
}
