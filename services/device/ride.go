package device

import (
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
)

// Ride is the time in which an account uses a vehicle. What the vehicle sends in that time is visible to the account
// and to staff only, then and later.
type Ride struct {
	ID        string // of the trip
	VehicleID string
	AccountID string
	StartedAt time.Time  // inclusive
	EndedAt   *time.Time // exclusive; nil while the ride lasts
	Cancelled bool       // it did not take place
}

// ManyRiders stands for the riders of a value whose time and time of arrival are in rides of different accounts. Only
// staff see such a value.
const ManyRiders = "*"

// Privacy is what is known of the rides of a vehicle. A rider of "" means that a value was sent outside of rides. Of a
// value that was sent during a ride, Public is the last one that was sent outside of rides, or nothing.
type Privacy struct {
	Open    *OpenRide  `json:"open,omitempty"`
	LastEnd *time.Time `json:"lastEnd,omitempty"` // no ride ended after it

	PositionRider string    `json:"positionRider,omitempty"`
	Position      *Position `json:"position,omitempty"` // public

	ReportRider string `json:"reportRider,omitempty"`
	Board       string `json:"board,omitempty"`    // public
	Firmware    string `json:"firmware,omitempty"` // public

	SeenRider  string     `json:"seenRider,omitempty"`
	LastSeenAt *time.Time `json:"lastSeenAt,omitempty"` // public
}

// OpenRide is a ride that lasts, with the state of its vehicle at the start. Presence and lock are current states, so
// members see the actual ones again after the ride.
type OpenRide struct {
	ID        string    `json:"id"`
	AccountID string    `json:"accountId"`
	StartedAt time.Time `json:"startedAt"`
	Presence  Presence  `json:"presence"`
	Lock      LockState `json:"lock,omitempty"`
}

// SeenBy returns the device in the state that the caller sees: without what was sent during rides of other accounts.
func (d Device) SeenBy(who caller.Caller) Device {
	p := d.Privacy
	if p == nil || entity.Device.Visibility(who).All {
		return d
	}
	hidden := func(rider string) bool { return rider != "" && rider != who.AccountID }
	if hidden(p.PositionRider) {
		d.Position = p.Position
	}
	if hidden(p.ReportRider) {
		d.Board, d.Firmware = p.Board, p.Firmware
	}
	if hidden(p.SeenRider) {
		d.LastSeenAt = p.LastSeenAt
	}
	if o := p.Open; o != nil && hidden(o.AccountID) {
		d.Presence = o.Presence
		if d.Lock != nil {
			d.Lock = &Lock{State: o.Lock}
		}
	}
	return d
}

// Public returns the device in the state that members without a ride see.
func (d Device) Public() Device { return d.SeenBy(caller.Caller{Role: caller.Member}) }

// Riders returns the accounts that see the device in another state than Public.
func (d Device) Riders() []string {
	p := d.Privacy
	if p == nil {
		return nil
	}
	riders := []string{p.PositionRider, p.ReportRider, p.SeenRider}
	if p.Open != nil {
		riders = append(riders, p.Open.AccountID)
	}
	riders = slices.DeleteFunc(riders, func(r string) bool { return r == "" || r == ManyRiders })
	slices.Sort(riders)
	return slices.Compact(riders)
}

// Reviewed returns the device after a change of its rides, with the riders of what it sent last. A value that was public
// until now leaves no public one behind.
func (d Device) Reviewed(position, report, seen string) Device {
	p := *d.Privacy
	if p.PositionRider != position && (p.PositionRider == "" || position == "") {
		p.Position = nil
	}
	if p.ReportRider != report && (p.ReportRider == "" || report == "") {
		p.Board, p.Firmware = "", ""
	}
	if p.SeenRider != seen && (p.SeenRider == "" || seen == "") {
		p.LastSeenAt = nil
	}
	p.PositionRider, p.ReportRider, p.SeenRider = position, report, seen
	d.Privacy = &p
	return d
}

// Located returns the device after a position that it sent during a ride of the rider. One that it has sent before changes nothing.
func (d Device) Located(p Position, arrived time.Time, rider string) Device {
	public := d.Public().Position
	known := d.Position != nil && d.Position.At != nil && p.At != nil && d.Position.At.Equal(*p.At)
	if later := Latest(d.Position, &p); later == &p && !known {
		d.Position, d.PositionArrivedAt = &p, &arrived
		return d.withPrivacy(func(v *Privacy) { v.PositionRider, v.Position = rider, unless(rider == "", public) })
	}
	if rider != "" || d.Privacy == nil || d.Privacy.PositionRider == "" {
		return d
	}
	return d.withPrivacy(func(v *Privacy) { v.Position = Latest(public, &p) })
}

// Reporting returns the device after a report of itself that it sent during a ride of the rider.
func (d Device) Reporting(board, firmware string, arrived time.Time, rider string) Device {
	public := d.Public()
	d.Board, d.BoardAt = board, &arrived
	if firmware != "" {
		d.Firmware = firmware
	}
	return d.withPrivacy(func(v *Privacy) {
		v.ReportRider, v.Board, v.Firmware = rider, "", ""
		if rider != "" {
			v.Board, v.Firmware = public.Board, public.Firmware
		}
	})
}

// Noticed returns the device after it was noticed at a time during a ride of the rider.
func (d Device) Noticed(at time.Time, rider string) Device {
	public := d.Public().LastSeenAt
	if d.LastSeenAt == nil || d.LastSeenAt.Before(at) {
		d.LastSeenAt = &at
		return d.withPrivacy(func(v *Privacy) { v.SeenRider, v.LastSeenAt = rider, unless(rider == "", public) })
	}
	if rider == "" && (public == nil || public.Before(at)) {
		return d.withPrivacy(func(v *Privacy) { v.LastSeenAt = &at })
	}
	return d
}

// withPrivacy changes a copy of the privacy; a device without rides has none.
func (d Device) withPrivacy(change func(p *Privacy)) Device {
	if d.Privacy != nil {
		p := *d.Privacy
		change(&p)
		d.Privacy = &p
	}
	return d
}

func unless[T any](absent bool, value *T) *T {
	if absent {
		return nil
	}
	return value
}
