// Package presence tells who of the devices is there.
//
// It hears when a device connects, disconnects or says something, and stores for each device a State. It promises: a
// device that is heard is ONLINE at once. One that disconnects stays ONLINE for the grace, and is OFFLINE only when it
// has not reconnected by then and the broker does not know it. After a restart, devices that were ONLINE and are not
// connected are UNKNOWN until they are heard or the wait runs out. Others receive ONLINE and OFFLINE alternately, and
// never UNKNOWN; so they hear nothing of a restart, nor of a device that reconnects in time.
//
// The states are in the store, so that any number of processes keep them together. What a process
// that is killed had heard and not stored is found again by comparing with who is connected.
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

// Kind is what was noticed of a device.
type Kind int

// The kinds.
const (
	Connected    Kind = iota // it connected
	Disconnected             // a connection of it ended
	Active                   // it said something
)

// Signal is something that was noticed of a device. Signals may come twice and out of order.
type Signal struct {
	DeviceID string
	Kind     Kind
	At       time.Time
}

// State is what is known of a device.
type State struct {
	Presence  Presence
	Published Presence   // the last state that was published; UNKNOWN when none was
	At        time.Time  // of the last signal that counted; zero when there was none
	Due       *time.Time // when it is OFFLINE, unless it is heard before; nil for never
}

// After is the state after a signal. Older news than what is known changes nothing.
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

// Expired is the state when the time has come to now and the device is not connected.
func (s State) Expired(now time.Time) State {
	if s.Due == nil || s.Due.After(now) {
		return s
	}
	return State{Presence: Offline, Published: Offline, At: s.At}
}

// Doubted is the state of a device that was there before a restart and is not connected after it: it
// has until now+wait to reconnect.
func (s State) Doubted(now time.Time, wait time.Duration) State {
	if s.Presence != Online {
		return s
	}
	due := now.Add(wait)
	s.Presence, s.Due = Unknown, &due
	return s
}

// Missed is the state of a device that is not connected although no disconnection was noticed.
func (s State) Missed(now time.Time, grace time.Duration) State {
	if s.Presence == Online && s.Due == nil {
		due := now.Add(grace)
		s.Due = &due
	}
	return s
}
