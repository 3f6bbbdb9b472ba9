package uplink

import (
	"bytes"
	"cmp"
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

func decode(payload []byte, into any) error {
	if json.Unmarshal(payload, into) == nil {
		return nil
	}
	reader := json.NewDecoder(bytes.NewReader(payload)) // for the reason
	if err := reader.Decode(into); err != nil {
		return errs.Invalid("payload", "%s", invalidJSON(err))
	}
	if _, err := reader.Token(); !errors.Is(err, io.EOF) {
		return errs.Invalid("payload", "goes on after its JSON value")
	}
	return nil
}

// invalidJSON describes the error in stable words.
func invalidJSON(err error) string {
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

// The limits of a payload: nesting of lists and objects, and number of values.
const (
	maxDepth  = 32
	maxValues = 20_000
)

// checkShape refuses a payload that is too deep or has too many values, before it is decoded. The decoder refuses
// text that is not JSON.
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

// checkNumbers refuses numbers beyond 64 bits, which clients could not decode.
func checkNumbers(payload []byte) error {
	reader := json.NewDecoder(bytes.NewReader(payload))
	reader.UseNumber()
	for {
		token, err := reader.Token()
		if err != nil {
			return nil // the decoder of the topic reports invalid JSON
		}
		if n, ok := token.(json.Number); ok {
			if _, err := n.Float64(); err != nil {
				return errs.Invalid("payload", "has a number that is not one of 64 bits: %.40s", n)
			}
		}
	}
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

// err returns nil without a refusal, the refusal of the message if no item is valid, else a partial error.
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

// items are the parts of a message that is one item or a list.
func items(payload []byte) (list []json.RawMessage, err error) {
	if first := bytes.TrimLeft(payload, " \t\r\n"); len(first) == 0 || first[0] != '[' {
		return []json.RawMessage{payload}, nil
	}
	err = decode(payload, &list)
	return list, err
}

// readReadings decodes telemetry: a sample, or a list of samples. The error is partial if some readings are valid.
func readReadings(m device.UpMessage) ([]telemetry.Reading, error) {
	list, err := items(m.Payload)
	if err != nil {
		return nil, err
	}
	var all []telemetry.Reading
	var refusals itemRefusals
	for i, text := range list {
		all = append(all, readSample(fmt.Sprintf("[%d]", i), text, m.ArrivedAt, &refusals)...)
	}
	if len(all) == 0 && refusals.count > 0 {
		return nil, refusals.err(0)
	}
	if err := telemetry.CheckCount(len(all)); err != nil {
		return nil, err
	}
	return all, refusals.err(len(all))
}

// readSample decodes values with their time, {"at": "…", "values": {"temperature": 21.5}}, or {"at": "…",
// "temperature": 21.5}.
func readSample(field string, text []byte, arrived time.Time, refusals *itemRefusals) (all []telemetry.Reading) {
	var values, beside map[string]json.RawMessage
	err := decode(text, &values)
	if nested := values["values"]; len(nested) > 0 && nested[0] == '{' {
		delete(values, "values")
		beside, values = values, nil
		err = decode(nested, &values)
	}
	var sentAt *device.Moment
	if err == nil {
		sentAt, err = timeOf(values, beside)
	}
	if err != nil {
		refusals.add(errs.Invalid(field, "%s", invalidJSON(err)))
		return nil
	}
	at, err := sentAt.Checked(field+".at", arrived)
	if err == nil && len(values) == 0 {
		err = telemetry.CheckCount(0)
	}
	if err != nil {
		refusals.add(err)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(beside)) {
		refusals.add(errs.Invalid(field, `%.80q is not "at" or "values"`, name))
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		reading, err := readReading(key, at, values[key])
		if err != nil {
			refusals.add(err)
			continue
		}
		all = append(all, reading)
	}
	return all
}

// minTime distinguishes a time from a reading of this name: seconds of 1973.
const minTime = 1e8

// timeOf removes the time of a sample, which is beside the object of values or, without one, among the values.
func timeOf(values, beside map[string]json.RawMessage) (at *device.Moment, err error) {
	from := beside
	if beside == nil {
		from = values
	}
	for _, name := range []string{"at", "time", "ts", "timestamp"} {
		text, there := from[name]
		if !there {
			continue
		}
		n, notNumber := strconv.ParseFloat(string(text), 64)
		if reading := name == "at" || name == "time"; beside == nil && reading && text[0] != '"' && (notNumber != nil || n < minTime) {
			continue
		}
		if at != nil {
			return nil, errs.New(errs.InvalidArgument, errs.ReasonInvalidField, "has two times")
		}
		delete(from, name)
		if err := json.Unmarshal(text, &at); err != nil {
			return nil, err
		}
	}
	return at, nil
}

func readReading(key string, at time.Time, text json.RawMessage) (telemetry.Reading, error) {
	var value *float64
	if err := json.Unmarshal(text, &value); err != nil {
		return telemetry.Reading{}, errs.Invalid("payload", "%.80q %s", key, invalidJSON(err))
	}
	if value == nil {
		return telemetry.Reading{}, errs.Invalid("payload", "%.80q must be a number", key)
	}
	return telemetry.CheckReading("values", telemetry.Reading{Key: key, At: at, Value: *value})
}

// place is a position in a message. Phones use the short names.
type place struct {
	Type      string   `json:"_type"`
	Latitude  *float64 `json:"latitude"`
	Longitude *float64 `json:"longitude"`
	Accuracy  *float64 `json:"accuracy"`
	Lat       *float64 `json:"lat"`
	Lon       *float64 `json:"lon"`
	Acc       *float64 `json:"acc"`

	At        *device.Moment `json:"at"`
	Time      *device.Moment `json:"time"`
	TS        *device.Moment `json:"ts"`
	TST       *device.Moment `json:"tst"`
	Timestamp *device.Moment `json:"timestamp"`
}

const maxPlaces = 500 // per message

// readPositions decodes positions: one, or a list. The error is partial if some are valid.
func readPositions(m device.UpMessage) ([]device.Position, error) {
	list, err := items(m.Payload)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || len(list) > maxPlaces {
		return nil, errs.Invalid("payload", "must be 1 to %d positions", maxPlaces)
	}
	var all []device.Position
	var refusals itemRefusals
	for i, text := range list {
		var p place
		var position *device.Position
		err := decode(text, &p)
		if err == nil {
			position, err = p.position(fmt.Sprintf("[%d]", i), m.ArrivedAt)
		}
		if err != nil {
			refusals.add(err)
			continue
		}
		all = append(all, *position)
	}
	return all, refusals.err(len(all))
}

func (p place) position(field string, arrived time.Time) (*device.Position, error) {
	if p.Type != "" && p.Type != "location" {
		return nil, errs.Invalid(field, "is a %.40q, not a location", p.Type)
	}
	latitude, longitude := p.Latitude, p.Longitude
	if latitude == nil && longitude == nil {
		latitude, longitude = p.Lat, p.Lon
	}
	if latitude == nil || longitude == nil {
		return nil, errs.Invalid(field, "needs latitude and longitude")
	}
	if *latitude == 0 && *longitude == 0 { // receivers report it while they have no position
		return nil, errs.Invalid(field, "is exactly 0, 0, which is no position")
	}
	at, err := cmp.Or(p.At, p.Time, p.TS, p.TST, p.Timestamp).Checked(field+".at", arrived)
	if err != nil {
		return nil, err
	}
	return device.CheckPosition(field, &device.Position{Latitude: *latitude, Longitude: *longitude, At: &at, Accuracy: cmp.Or(p.Accuracy, p.Acc)})
}
