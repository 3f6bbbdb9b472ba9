package camera

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
)

// StreamState is the state of a camera's stream.
type StreamState string

// The states: STOPPED → STARTING → LIVE → STOPPING → STOPPED, by the results of commands.
const (
	StreamStopped  StreamState = "STOPPED"
	StreamStarting StreamState = "STARTING"
	StreamLive     StreamState = "LIVE"
	StreamStopping StreamState = "STOPPING"
)

// The events of a stream.
const (
	StreamChanged    device.EventType = "STREAM_CHANGED"
	StreamNotStopped device.EventType = "STREAM_NOT_STOPPED" // the camera did not respond: it may still stream
)

// Stream is the stream of a camera, which runs as long as it has viewers.
type Stream struct {
	DeviceID  string      `json:"-"`
	State     StreamState `json:"state"`
	Since     *time.Time  `json:"since,omitempty"`     // start of the state
	CommandID string      `json:"commandId,omitempty"` // the command that starts or stops it, while STARTING or STOPPING
	By        string      `json:"by,omitempty"`        // the caller who caused the command
	Viewers   []Viewer    `json:"viewers,omitempty"`
	Linger    *time.Time  `json:"linger,omitempty"`   // LIVE without viewers: when it stops
	Answer    string      `json:"answer,omitempty"`   // JSON: the camera's response to the start
	Reason    string      `json:"reason,omitempty"`   // why it failed to start, or stopped
	Error     string      `json:"error,omitempty"`    // Reason in words
	Attempts  int         `json:"attempts,omitempty"` // failed attempts to stop, in a row
	Doubt     bool        `json:"doubt,omitempty"`    // STOPPED, but the camera may still stream and must be stopped

	Starts []StreamStart        `json:"starts,omitempty"` // within the window, the oldest first
	Calls  map[string]time.Time `json:"calls,omitempty"`  // by caller: when the rate limit has recovered

	DueAt *time.Time `json:"-"` // the next due time; nil for none
}

// Viewer is a client that watches until its lease ends.
type Viewer struct {
	Caller string    `json:"caller"`
	Name   string    `json:"name,omitempty"` // distinguishes viewers of one caller
	Until  time.Time `json:"until"`
}

// StreamStart records a start, and its caller.
type StreamStart struct {
	At time.Time `json:"at"`
	By string    `json:"by"`
}

// Rules bound the duration of streams and the rate of starts. Zero means the default.
type Rules struct {
	Lease          time.Duration // of a viewer since its last call: 1 minute
	Linger         time.Duration // of a stream without viewers: 20 seconds
	Window         time.Duration // in which starts are counted: 5 minutes
	Starts         int           // per camera in the window: 6
	StartsByCaller int           // per camera and caller in the window: 3
	CallsPerMinute int           // per caller and camera: 120
}

func (r Rules) withDefaults() Rules {
	positive := func(d *time.Duration, fallback time.Duration) {
		if *d <= 0 {
			*d = fallback
		}
	}
	atLeastOne := func(n *int, fallback int) {
		if *n <= 0 {
			*n = fallback
		}
	}
	positive(&r.Lease, time.Minute)
	positive(&r.Linger, 20*time.Second)
	positive(&r.Window, 5*time.Minute)
	atLeastOne(&r.Starts, 6)
	atLeastOne(&r.StartsByCaller, 3)
	atLeastOne(&r.CallsPerMinute, 120)
	return r
}

const (
	maxViewers         = 200 // per stream
	maxViewersOfCaller = 100
	maxViewerName      = 100
	callBurst          = 20 // burst of calls per caller
	maxStopAttempts    = 6
	streamPoll         = time.Second // poll interval for the end of a command, in case its notification is lost
	streamRetry        = 5 * time.Second
)

func (st Stream) called(caller string, now time.Time, rules Rules) (Stream, error) {
	each := time.Minute / time.Duration(rules.CallsPerMinute)
	paid := now
	if until, ok := st.Calls[caller]; ok && until.After(now) {
		paid = until
	}
	if over := paid.Sub(now) - (callBurst-1)*each; over > 0 {
		return st, flapping(over, "you call for this camera too often")
	}
	calls := map[string]time.Time{caller: paid.Add(each)}
	for other, until := range st.Calls {
		if other != caller && until.After(now) {
			calls[other] = until
		}
	}
	st.Calls = calls
	return st, nil
}

func flapping(wait time.Duration, why string) *errs.Error {
	e := errs.New(errs.ResourceExhausted, ReasonStreamFlapping, "%s: retry later", why)
	e.RetryAfter = max(wait, time.Millisecond)
	return e
}

// joined returns the stream with a new viewer, or a renewed lease. advanced then starts the stream if necessary; the
// caller checks the limits.
func (st Stream) joined(v Viewer, d device.Device, now time.Time, rules Rules) (Stream, error) {
	st = st.pruned(now, rules)
	_, watches := st.left(v)
	if !watches && (st.State == StreamStopped || st.State == StreamStopping) {
		if d.Presence == device.Offline {
			return st, errs.New(errs.FailedPrecondition, device.ReasonOffline, "the camera is offline")
		}
		if wait := st.damped(v.Caller, now, rules); wait > 0 {
			return st, flapping(wait, "this stream was started and stopped too often")
		}
	}
	kept, ofCaller := make([]Viewer, 0, len(st.Viewers)+1), 0
	for _, other := range st.Viewers {
		if other.Caller == v.Caller {
			ofCaller++
			if other.Name == v.Name {
				ofCaller--
				continue
			}
		}
		kept = append(kept, other)
	}
	if ofCaller >= maxViewersOfCaller || len(kept) >= maxViewers {
		return st, errs.New(errs.ResourceExhausted, ReasonTooManyViewers, "this stream has %d viewers, of yours %d", len(kept), ofCaller)
	}
	v.Until = now.Add(rules.Lease)
	st.Viewers, st.Linger = append(kept, v), nil
	return st, nil
}

func (st Stream) left(v Viewer) (after Stream, changed bool) {
	kept := slices.DeleteFunc(slices.Clone(st.Viewers), func(other Viewer) bool { return other.Caller == v.Caller && other.Name == v.Name })
	changed = len(kept) != len(st.Viewers)
	st.Viewers = kept
	return st, changed
}

// pruned returns the stream without expired leases and starts outside the window. After the last lease it lingers.
func (st Stream) pruned(now time.Time, rules Rules) Stream {
	var kept []Viewer
	last := now
	if len(st.Viewers) > 0 {
		last = st.Viewers[0].Until
	}
	for _, v := range st.Viewers {
		if v.Until.After(now) {
			kept = append(kept, v)
		} else if v.Until.After(last) {
			last = v.Until
		}
	}
	if len(kept) == 0 && st.State == StreamLive && st.Linger == nil {
		until := minTime(last, now).Add(rules.Linger)
		st.Linger = &until
	}
	st.Viewers = kept
	st.Starts = slices.DeleteFunc(slices.Clone(st.Starts), func(s StreamStart) bool { return !s.At.After(now.Add(-rules.Window)) })
	return st
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// damped returns how long the caller may not start the stream; 0 permits it.
func (st Stream) damped(caller string, now time.Time, rules Rules) time.Duration {
	var all, own []time.Time
	for _, s := range st.Starts {
		if s.At.After(now.Add(-rules.Window)) {
			all = append(all, s.At)
			if s.By == caller {
				own = append(own, s.At)
			}
		}
	}
	wait := time.Duration(0)
	if n := len(all) - rules.Starts; n >= 0 {
		wait = all[n].Add(rules.Window).Sub(now)
	}
	if n := len(own) - rules.StartsByCaller; n >= 0 {
		wait = max(wait, own[n].Add(rules.Window).Sub(now))
	}
	return wait
}

// advanced returns the stream after the effects of time and of its command. A state that needs a command names it.
func (st Stream) advanced(d device.Device, c *command.Command, now time.Time, rules Rules) Stream {
	st = st.answered(c, now).pruned(now, rules)
	if d.Presence == device.Offline && st.State == StreamLive {
		st = st.stopped(now, device.ReasonOffline, "the camera went offline")
		st.Doubt = true
	}
	if st.State == StreamStopped && len(st.Viewers) > 0 && d.Presence != device.Offline {
		st = st.started(now, rules)
	}
	unwatched := st.State == StreamLive && len(st.Viewers) == 0 && !st.Linger.After(now)
	doubted := st.State == StreamStopped && st.Doubt && d.Presence != device.Offline
	if unwatched || doubted {
		st = st.turned(StreamStopping, now)
		st.CommandID, st.By, st.Linger = ids.New(ids.Command), "system", nil
	}
	st.DueAt = st.due(now)
	return st
}

func (st Stream) started(now time.Time, rules Rules) Stream {
	for _, v := range st.Viewers {
		if st.damped(v.Caller, now, rules) > 0 {
			continue
		}
		st = st.turned(StreamStarting, now)
		st.CommandID, st.By, st.Reason, st.Error, st.Answer, st.Doubt = ids.New(ids.Command), v.Caller, "", "", "", false
		st.Starts = append(slices.Clone(st.Starts), StreamStart{At: now, By: v.Caller})
		return st
	}
	return st
}

func (st Stream) answered(c *command.Command, now time.Time) Stream {
	if c == nil || c.ID != st.CommandID || c.Status.Open() {
		return st
	}
	switch {
	case st.State == StreamStarting && c.Status == command.Succeeded:
		st = st.turned(StreamLive, now)
		st.CommandID, st.Answer, st.Attempts = "", c.Result, 0
	case st.State == StreamStarting:
		st = st.stopped(now, c.Reason, c.Error)
		st.Viewers = nil // the stream that they watched does not exist
		st.Doubt = c.SentAt != nil && c.Reason != command.ReasonFailed
	case st.State == StreamStopping && (c.Status == command.Succeeded || st.Attempts+1 >= maxStopAttempts):
		st = st.stopped(now, "", "")
		if c.Status != command.Succeeded {
			st.Reason, st.Error = c.Reason, c.Error
		}
	case st.State == StreamStopping: // it counts as live, and is stopped again later if it has no viewer
		again := now.Add(streamRetry << st.Attempts)
		st = st.turned(StreamLive, now)
		st.CommandID, st.Linger = "", &again
		st.Attempts++
	}
	return st
}

func (st Stream) turned(to StreamState, now time.Time) Stream {
	st.State, st.Since = to, &now
	return st
}

func (st Stream) stopped(now time.Time, reason, words string) Stream {
	st = st.turned(StreamStopped, now)
	st.CommandID, st.By, st.Linger, st.Answer, st.Attempts, st.Doubt = "", "", nil, "", 0, false
	st.Reason, st.Error = reason, words
	return st
}

// due returns the time of the next task; nil for none.
func (st Stream) due(now time.Time) *time.Time {
	var next *time.Time
	sooner := func(at time.Time) {
		if next == nil || at.Before(*next) {
			next = &at
		}
	}
	for _, v := range st.Viewers {
		sooner(v.Until)
	}
	switch {
	case st.State == StreamStarting || st.State == StreamStopping:
		sooner(now.Add(streamPoll))
	case st.State == StreamStopped && (len(st.Viewers) > 0 || st.Doubt):
		sooner(now.Add(streamRetry))
	case st.Linger != nil:
		sooner(*st.Linger)
	}
	return next
}

func newStream(deviceID string) Stream { return Stream{DeviceID: deviceID, State: StreamStopped} }

// ParseStream decodes a stored stream; "" is a stream that never started.
func ParseStream(deviceID, body string) (Stream, error) {
	st := newStream(deviceID)
	if body == "" {
		return st, nil
	}
	if err := json.Unmarshal([]byte(body), &st); err != nil {
		return Stream{}, fmt.Errorf("read the stream of %s: %w", deviceID, err)
	}
	return st, nil
}
