package importer

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/recordings"
)

// Services is where rows go. Their errors are *errs.Error.
type Services struct {
	Accounts   Accounts
	Devices    Devices
	Trips      Trips
	Activities Activities
}

// Accounts knows whose a recording can be.
type Accounts interface {
	// EnsureAccount finds or makes the account of an identity and gives its id.
	EnsureAccount(ctx context.Context, identity Identity) (id string, err error)
	// HasAccount tells whether there is an account of the id.
	HasAccount(ctx context.Context, id string) (bool, error)
}

// Identity is somebody as a provider of identities knows them.
type Identity struct {
	Provider string
	Subject  string
	Name     string      // for an account that is made of it
	Role     caller.Role // for an account that is made of it
}

// Devices keeps devices and what they measured.
type Devices interface {
	// EnsureDevices finds or makes devices by their keys in the source, at most 500: their ids in
	// order, and how many were made. Those that are known stay as they are. When one is refused, none
	// is made.
	EnsureDevices(ctx context.Context, source string, devices []recordings.Device) (ids []string, made int64, err error)
	// ImportDevices does the same, and brings those that are known up to date. With secrets, those
	// that are made get one.
	ImportDevices(ctx context.Context, source string, devices []recordings.Device, secrets bool) (all []Imported, made int64, err error)
	// KindOf gives the kind of the device (recordings.KindVehicle, ...), "" when there is none.
	KindOf(ctx context.Context, id string) (kind string, err error)
	// RecordReadings keeps what the device measured under a key, at most 5,000 readings, and tells
	// how many were new.
	RecordReadings(ctx context.Context, deviceID, key string, readings []recordings.Reading) (stored int64, err error)
}

// Imported is a device that was found or made.
type Imported struct {
	ID     string
	Secret string // "" when it was found, or none was asked for
}

// Trips keeps recorded trips.
type Trips interface {
	// ImportFixes adds at most 2,000 fixes, in order, to the trip that r and externalID name.
	ImportFixes(ctx context.Context, r Recording, externalID string, fixes []recordings.Fix) (Added, error)
	// ImportRides adds at most 500 trips of which the ends are known; the reasons why others were
	// left out are by their keys.
	ImportRides(ctx context.Context, r Recording, rides []recordings.Ride) (stored int64, faults map[string]string, err error)
}

// Recording says what recorded a trip, and of whom.
type Recording struct {
	Source    string
	AccountID string
	VehicleID string
}

// Added is what became of fixes.
type Added struct {
	Made   bool  // the trip is new
	Stored int64 // fixes that were new
}

// Activities keeps what went on.
type Activities interface {
	// ImportActivities keeps at most 500; the reasons why some were left out are by their indices.
	ImportActivities(ctx context.Context, activities []Activity) (stored int64, faults map[int]string, err error)
}

// ActivityKind is what an activity is about.
type ActivityKind string

// The kinds that recordings have.
const (
	Observed ActivityKind = "OBSERVATION"
	Drunk    ActivityKind = "HYDRATION"
)

// Activity is something that went on; what is not known is zero.
type Activity struct {
	Kind       ActivityKind
	Source     string
	ExternalID string
	AccountID  string // "" for everybody's
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
	Line       int // in the file
}

// Sky is a place on the sky, in degrees.
type Sky struct {
	RightAscension float64 // 0 to 360
	Declination    float64 // -90 to 90
	Epoch          string  // "J2000"
}

// TelescopeWork is what a telescope was asked for.
type TelescopeWork struct {
	Site, Telescope, Instrument, Programme, Observer, Target, Status string
}
