package importer

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/recordings"
)

// Services are the ports to which rows are sent. Their errors are *errs.Error.
type Services struct {
	Accounts   Accounts
	Devices    Devices
	Trips      Trips
	Activities Activities
	Demo       bool // the demo identities may own rows
}

// Accounts looks up the owner of a recording.
type Accounts interface {
	// EnsureAccount finds or creates the account of an identity and returns its id.
	EnsureAccount(ctx context.Context, identity Identity) (id string, err error)
	// HasAccount reports whether the account exists.
	HasAccount(ctx context.Context, id string) (bool, error)
}

// Identity is a person as an identity provider describes them.
type Identity struct {
	Provider string
	Subject  string
	Name     string      // for a new account
	Role     caller.Role // for a new account
}

// Devices stores devices and their readings.
type Devices interface {
	// EnsureDevices finds or creates at most 500 devices by their keys in the source. It returns their ids in order
	// and the number of new devices. Known devices do not change. One refusal refuses all.
	EnsureDevices(ctx context.Context, source string, devices []recordings.Device) (ids []string, created int64, err error)
	// ImportDevices is EnsureDevices, but updates known devices. With secrets it creates a secret for each new
	// device.
	ImportDevices(ctx context.Context, source string, devices []recordings.Device, secrets bool) (all []Imported, created int64, err error)
	// KindOf returns the kind of the device (recordings.KindVehicle, …); "" if it does not exist.
	KindOf(ctx context.Context, id string) (kind string, err error)
	// RecordReadings stores readings of the device under a key, at most 5,000. Another value at the time of a stored one
	// replaces it.
	RecordReadings(ctx context.Context, deviceID, key string, readings []recordings.Reading) (Written, error)
}

// Imported is a known or new device.
type Imported struct {
	ID     string
	Secret string // "" for a known device, and when none was requested
}

// Trips stores recorded trips.
type Trips interface {
	// ImportFixes appends at most 2,000 fixes, in order, to the trip of r and externalID.
	ImportFixes(ctx context.Context, r Recording, externalID string, fixes []recordings.Fix) (Added, error)
	// ImportRides stores at most 500 trips with only their ends. It returns the reasons for dropped rides by their
	// keys.
	ImportRides(ctx context.Context, r Recording, rides []recordings.Ride) (written Written, faults map[string]string, err error)
}

// Recording names the recorder, the owner and the vehicle of a trip.
type Recording struct {
	Source    string
	AccountID string
	VehicleID string
}

// Added is the result of ImportFixes.
type Added struct {
	Created bool  // the trip is new
	Stored  int64 // fixes that were new
	// Rejected is the change in the number of rejected fixes, by reason.
	Rejected map[string]int64
}

// Activities stores activities.
type Activities interface {
	// ImportActivities stores at most 500 activities. It returns the reasons for dropped ones by their indices.
	ImportActivities(ctx context.Context, activities []Activity) (written Written, faults map[int]string, err error)
}

// Written counts the rows that a service has written.
type Written struct {
	Stored  int64 // new
	Updated int64 // known, and their source has changed
	Empty   int64 // totals of 0 that were not known
}

// ActivityKind is the kind of an activity.
type ActivityKind string

// The kinds of activities in recordings.
const (
	Observed ActivityKind = "OBSERVATION"
	Drunk    ActivityKind = "HYDRATION"
)

// Activity is one activity; unknown fields are zero.
type Activity struct {
	Kind       ActivityKind
	Source     string
	ExternalID string
	AccountID  string // "" for a public one
	Title      string
	StartedAt  time.Time
	EndedAt    time.Time
	Actor      string
	Subject    string
	Amount     *float64
	Unit       string
	Sky        *Sky
	Telescope  *TelescopeWork
	DataJSON   string
	// StartAssumed says that the source does not state the start: a known activity keeps its start.
	StartAssumed bool
	// Total says that the amount is the sum of the water from the start to the end; it may be 0.
	Total bool
	Line  int // in the file
}

// Sky is a position on the sky, in degrees.
type Sky struct {
	RightAscension float64 // 0 to 360
	Declination    float64 // -90 to 90
	Epoch          string  // "J2000"
}

// TelescopeWork is a request to a telescope.
type TelescopeWork struct {
	Site, Telescope, Instrument, Programme, Observer, Target, Status string
}
