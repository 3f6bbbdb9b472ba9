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
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/telemetry"
)

// maxAhead is how far in the future a device's clock may be.
const maxAhead = time.Hour

// decode reads the payload's one JSON value.
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

// orArrival returns the time that the device gave, or the arrival of its message.
func orArrival(field string, sentAt *moment, arrived time.Time) (time.Time, error) {
	if sentAt == nil {
		return arrived, nil
	}
	if sentAt.After(arrived.Add(maxAhead)) {
		return time.Time{}, errs.Invalid(field, "is more than %v in the future: set the clock", maxAhead)
	}
	return sentAt.Time, nil
}

// sample is values at a time: {"at": "…", "values": {"temperature": 21.5}}.
type sample struct {
	At     *moment             `json:"at"`
	Values map[string]*float64 `json:"values"`
}

// readReadings reads a message of telemetry: a sample, a list of samples, or values alone.
func readReadings(m device.UpMessage) ([]telemetry.Reading, error) {
	samples, err := readSamples(m)
	if err != nil {
		return nil, err
	}
	var all []telemetry.Reading
	for i, s := range samples {
		at, err := orArrival(fmt.Sprintf("[%d].at", i), s.At, m.ArrivedAt)
		if err != nil {
			return nil, err
		}
		for _, key := range slices.Sorted(maps.Keys(s.Values)) {
			if s.Values[key] == nil {
				return nil, errs.Invalid("payload", "%.80q must be a number", key)
			}
			all = append(all, telemetry.Reading{Key: key, At: at, Value: *s.Values[key]})
		}
	}
	return telemetry.CheckReadings(all)
}

func readSamples(m device.UpMessage) ([]sample, error) {
	if first := bytes.TrimLeft(m.Payload, " \t\r\n"); len(first) > 0 && first[0] == '[' {
		var list []sample
		err := decode(m.Payload, &list)
		return list, err
	}
	var named struct {
		Values json.RawMessage `json:"values"`
	}
	if err := decode(m.Payload, &named); err != nil {
		return nil, err
	}
	if values := bytes.TrimSpace(named.Values); len(values) > 0 && values[0] == '{' {
		var one sample
		err := decode(m.Payload, &one)
		return []sample{one}, err
	}
	var alone map[string]*float64
	if err := decode(m.Payload, &alone); err != nil {
		return nil, err
	}
	return []sample{{Values: alone}}, nil
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

// readPositions reads a message of positions: one, or a list.
func readPositions(m device.UpMessage) ([]device.Position, error) {
	var places []place
	if first := bytes.TrimLeft(m.Payload, " \t\r\n"); len(first) > 0 && first[0] == '[' {
		if err := decode(m.Payload, &places); err != nil {
			return nil, err
		}
	} else {
		places = make([]place, 1)
		if err := decode(m.Payload, &places[0]); err != nil {
			return nil, err
		}
	}
	if len(places) == 0 || len(places) > maxPlaces {
		return nil, errs.Invalid("payload", "must be 1 to %d positions", maxPlaces)
	}
	all := make([]device.Position, len(places))
	for i, p := range places {
		position, err := p.position(fmt.Sprintf("[%d]", i), m.ArrivedAt)
		if err != nil {
			return nil, err
		}
		all[i] = *position
	}
	return all, nil
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
