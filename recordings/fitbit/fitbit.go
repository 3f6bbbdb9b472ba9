// Package fitbit reads water logs in the JSON of the Fitbit Web API
// (https://dev.fitbit.com/build/reference/web-api/nutrition/): the logs of a day, {"summary": {"water": 1300},
// "water": [{"amount": 200, "logId": 508693835}]}, a time series of the sums of days, {"foods-log-water":
// [{"dateTime": "2023-03-28", "value": "1300"}]}, the response to a new log ({"waterLog": {…}}), and arrays of these.
//
// Amounts are in millilitres, the unit of the API for clients that request metric units, unless Options.WaterUnit
// names another one; the file does not state it. A file that is not JSON yields only an error.
package fitbit

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/recordings"
	"github.com/sluicehq/sluice/recordings/internal/source"
	"github.com/sluicehq/sluice/recordings/internal/value"
)

const (
	// maxFile bounds a response, which is read into one buffer: several years of logs.
	maxFile  = 4 << 20
	maxDepth = 16
)

// WaterLogs reads all logs of a file. A summary that differs from the sum of its logs is a Fault.
func WaterLogs(r io.Reader, opts recordings.Options) iter.Seq2[recordings.WaterLog, error] {
	return func(yield func(recordings.WaterLog, error) bool) {
		err := read(r, opts, yield)
		if err != nil && !errors.Is(err, errStopped) {
			yield(recordings.WaterLog{}, fmt.Errorf("read water logs: %w", err))
		}
	}
}

// errStopped means that the caller ended the iteration.
var errStopped = errors.New("the reader was stopped")

func read(r io.Reader, opts recordings.Options, yield func(recordings.WaterLog, error) bool) error {
	in, err := source.Open(r)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return err
	}
	if len(text) > maxFile {
		return fmt.Errorf("the file is longer than %d bytes", maxFile)
	}
	w := &answer{text: text, opts: opts, yield: yield, seen: map[string]bool{}}
	if err := json.Unmarshal(text, new(json.RawMessage)); err != nil {
		return w.explain(err)
	}
	if err := w.walk(node{raw: text}, 0); err != nil {
		return err
	}
	if unit := cmp.Or(opts.WaterUnit, recordings.Millilitres); w.found {
		opts.Assumed(fmt.Sprintf("amounts of water are in %s", unit))
	}
	if !w.found {
		return errors.New(`no water log found: “water”, “foods-log-water” or “waterLog” holds them`)
	}
	return nil
}

// answer is one response of the API.
type answer struct {
	text  []byte
	opts  recordings.Options
	yield func(recordings.WaterLog, error) bool
	seen  map[string]bool // ids of logs
	found bool

	lines, counted int // line breaks in the first counted bytes of text
}

type node struct {
	raw json.RawMessage
	at  int
}

func (a *answer) explain(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		line := a.line(int(syntax.Offset))
		if syntax.Offset >= int64(len(a.text)) {
			return fmt.Errorf("unexpected end of file at line %d", line)
		}
		return fmt.Errorf("line %d: not JSON: %w", line, err)
	}
	return err
}

// line returns the line of an offset. It counts from the previous offset, forwards or backwards.
func (a *answer) line(at int) int {
	at = min(at, len(a.text))
	if at >= a.counted {
		a.lines += bytes.Count(a.text[a.counted:at], []byte("\n"))
	} else {
		a.lines -= bytes.Count(a.text[at:a.counted], []byte("\n"))
	}
	a.counted = at
	return a.lines + 1
}

func (a *answer) fault(at int, format string, args ...any) error {
	fault := recordings.Fault{Line: a.line(at), Reason: fmt.Sprintf(format, args...)}
	if !a.yield(recordings.WaterLog{}, fault) {
		return errStopped
	}
	return nil
}

// walk finds logs in an object, or in each element of an array.
func (a *answer) walk(n node, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("line %d: brackets are nested more than %d deep", a.line(n.at), maxDepth)
	}
	switch first(n.raw) {
	case '[':
		for _, element := range elements(n) {
			if err := a.walk(element, depth+1); err != nil {
				return err
			}
		}
		return nil
	case '{':
		return a.object(n, depth)
	}
	return a.fault(n.at, "%s is no water log", value.Quote(string(n.raw)))
}

func (a *answer) object(n node, depth int) error {
	m := members(n)
	for _, wrapper := range []string{"foods-log-water", "waterLog"} {
		if inside, ok := m[wrapper]; ok {
			a.found = true
			return a.walk(inside, depth+1)
		}
	}
	switch {
	case has(m, "water"):
		a.found = true
		return a.day(m)
	case has(m, "amount") || has(m, "logId"), has(m, "dateTime"):
		a.found = true
		_, err := a.log(n)
		return err
	}
	return nil
}

// day reads the logs of a day and compares their sum with the summary.
func (a *answer) day(m map[string]node) error {
	logs := m["water"]
	if first(logs.raw) != '[' {
		return a.fault(logs.at, "water is not an array of logs")
	}
	sum := 0.0
	for _, element := range elements(logs) {
		amount, err := a.element(element)
		if err != nil {
			return err
		}
		sum += amount
	}
	return a.compare(m["summary"], sum)
}

func (a *answer) element(n node) (amount float64, err error) {
	if first(n.raw) != '{' {
		return 0, a.fault(n.at, "%s is no water log", value.Quote(string(n.raw)))
	}
	return a.log(n)
}

func (a *answer) compare(summary node, sum float64) error {
	if first(summary.raw) != '{' {
		return nil
	}
	said, ok := members(summary)["water"]
	if !ok {
		return nil
	}
	total, err := value.Number(value.FromJSON(said.raw))
	if err != nil {
		return a.fault(said.at, "summary %v", err)
	}
	total *= a.opts.WaterUnit.InMillilitres()
	if math.Abs(total-sum) > a.opts.WaterUnit.InMillilitres() {
		return a.fault(said.at, "the summary says %g ml, the good logs add up to %g ml", total, sum)
	}
	return nil
}

func (a *answer) log(n node) (float64, error) {
	log, err := a.parse(members(n))
	if err == nil && a.seen[log.LogID] {
		err = fmt.Errorf("log %s appears twice", log.LogID)
	}
	if err != nil {
		return 0, a.fault(n.at, "%v", err)
	}
	a.seen[log.LogID] = true
	log.Line = a.line(n.at)
	if !a.yield(log, nil) {
		return 0, errStopped
	}
	return log.AmountMl, nil
}

func (a *answer) parse(m map[string]node) (log recordings.WaterLog, err error) {
	amount, id := "amount", "logId"
	if !has(m, id) && has(m, "dateTime") {
		amount, id = "value", "dateTime"
	}
	if log.AmountMl, err = value.Number(value.FromJSON(m[amount].raw)); err != nil {
		return log, fmt.Errorf("%s %w", amount, err)
	}
	log.AmountMl *= a.opts.WaterUnit.InMillilitres()
	log.IsTotal = id == "dateTime"
	if log.AmountMl < 0 || log.AmountMl == 0 && !log.IsTotal || log.AmountMl > maxAmount {
		return log, fmt.Errorf("%s %g is not above 0 ml and up to %d", amount, log.AmountMl, maxAmount)
	}
	if has(m, "dateTime") {
		if log.Day, err = time.ParseInLocation(time.DateOnly, value.FromJSON(m["dateTime"].raw), a.opts.Zone()); err != nil {
			return log, fmt.Errorf("dateTime %s is not a date as 2006-01-02", value.Quote(value.FromJSON(m["dateTime"].raw)))
		}
		if err := a.opts.CheckPast(log.Day); err != nil {
			return log, fmt.Errorf("dateTime %w", err)
		}
	}
	if log.LogID = value.FromJSON(m[id].raw); id == "dateTime" {
		return log, nil
	}
	if n, err := strconv.ParseInt(log.LogID, 10, 64); err != nil || n <= 0 {
		return log, fmt.Errorf("logId %s is not a positive 64-bit integer", value.Quote(log.LogID))
	}
	return log, nil
}

// maxAmount bounds one log or day, in millilitres: a larger amount has the wrong unit.
const maxAmount = 100_000

func has(m map[string]node, name string) bool {
	_, ok := m[name]
	return ok
}
