// Package presence decides whether a device is ONLINE, OFFLINE or UNKNOWN, and stores this State.
//
// A device is ONLINE as soon as it connects or sends. After a disconnect it stays ONLINE for the grace period, and
// becomes OFFLINE when it has not reconnected by then. After a restart, ONLINE devices without a connection are
// UNKNOWN until they send or a timeout expires. Subscribers receive ONLINE and OFFLINE alternately and never UNKNOWN,
// so a restart and a quick reconnect publish nothing.
//
// The states are in the store, so several processes can share them. Signals that a crash lost are recovered by a
// comparison with the connections.
package presence

import "time"

// Presence reports whether a device can be reached.
type Presence string

// The presences.
const (
	Online  Presence = "ONLINE"
	Offline Presence = "OFFLINE"
	Unknown Presence = "UNKNOWN"
)

// Kind is the kind of a signal.
type Kind int

// The kinds.
const (
	Connected    Kind = iota // a connection began
	Disconnected             // a connection ended
	Active                   // a message arrived
)

// Signal is an observation of a device. Signals may be repeated and out of order.
type Signal struct {
	DeviceID string
	Kind     Kind
	At       time.Time
}

// State is the presence of a device, with what later decisions need.
type State struct {
	Presence  Presence
	Published Presence   // the last published presence; UNKNOWN if none
	At        time.Time  // time of the last accepted signal; zero if none
	Due       *time.Time // when it becomes OFFLINE without a signal; nil for never
}

// After returns the state after a signal. A signal older than the state has no effect.
func (s State) After(signal Signal, grace time.Duration) State {
	if signal.At.Before(s.At) {
		return s
	}
	switch signal.Kind {
	case Connected, Active:
		return State{Presence: Online, Published: Online, At: signal.At}
	case Disconnected:
		if s.Presence == Online {
			due := signal.At.Add(grace)
			s.At, s.Due = signal.At, &due
		}
	}
	return s
}

// Expired returns the state after Due has passed without a connection.
func (s State) Expired(now time.Time) State {
	if s.Due == nil || s.Due.After(now) {
		return s
	}
	return State{Presence: Offline, Published: Offline, At: s.At}
}

// Doubted returns the state of a device that was ONLINE before a restart and has no connection: it may reconnect
// until now+wait.
func (s State) Doubted(now time.Time, wait time.Duration) State {
	if s.Presence != Online {
		return s
	}
	due := now.Add(wait)
	s.Presence, s.Due = Unknown, &due
	return s
}

// Missed returns the state of a device without a connection whose disconnect was not noticed.
func (s State) Missed(now time.Time, grace time.Duration) State {
	if s.Presence == Online && s.Due == nil {
		due := now.Add(grace)
		s.Due = &due
	}
	return s
}
