package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
)

// use is what the cache does about a method of a port.
type use int

const (
	never  use = iota // passes through
	keeps             // a read whose answers are kept
	writes            // a write that ends what was kept of its kind and of the entities that it names
)

// row is what is done about one method.
type row struct {
	method string // "Devices.GetDevices"
	use    use
	of     bff.Entity    // what is read or written
	scope  string        // without it a caller is refused, by the service
	sight  sight         // who sees the same
	keep   time.Duration // how long an answer is good for when nothing ends it earlier
	note   string        // why
}

// brief is how long it is kept that there is nothing.
const brief = 5 * time.Second

// ticking is how long a trip that is under way is kept: its fee and duration are of the moment.
const ticking = time.Second

// table is everything that is kept and everything that ends it: one row for each method of each port.
//
// An entity is kept under its own tag, what there is not and lists under the tag of the kind. A write
// ends the kind, and the entities that it names; an event of a service does the same. So `keep` bounds
// only what changes without either.
func table() []row {
	const minute = time.Minute
	return []row{
		{"Accounts.GetAccounts", keeps, bff.EntityAccount, caller.AccountRead, ownAccount, minute, ""},
		{"Accounts.Login", writes, bff.EntityAccount, "", nil, 0, "makes the account of who has not been here"},
		{"Accounts.EnsureAccount", writes, bff.EntityAccount, "", nil, 0, ""},
		{"Accounts.RefreshSession", never, "", "", nil, 0, "sessions are not kept"},
		{"Accounts.Logout", never, "", "", nil, 0, "sessions are not kept"},
		{"Accounts.KeySet", never, "", "", nil, 0, "bff/auth keeps it"},
		{"Accounts.VerifyAPIKey", never, "", "", nil, 0, "a revoked key is void at once"},
		{"Accounts.CreateAPIKey", never, "", "", nil, 0, "API keys are not kept"},
		{"Accounts.RotateAPIKey", never, "", "", nil, 0, "API keys are not kept"},
		{"Accounts.RevokeAPIKey", never, "", "", nil, 0, "API keys are not kept"},
		{"Accounts.ListAPIKeys", never, "", "", nil, 0, "tells when keys were used, of which there is no event"},
		{"Accounts.GetAPIKeys", never, "", "", nil, 0, "tells when keys were used, of which there is no event"},

		{"Devices.GetDevices", keeps, bff.EntityDevice, caller.DeviceRead, staffOrAnybody, 5 * time.Second, "lastSeenAt moves without an event"},
		{"Devices.ListDevices", keeps, bff.EntityDevice, caller.DeviceRead, staffOrAnybody, 5 * time.Second, "as above"},
		{"Devices.CountDevices", keeps, bff.EntityDevice, caller.DeviceRead, staffOrAnybody, 5 * time.Second, ""},
		{"Devices.ListDeviceEvents", keeps, bff.EntityDevice, caller.DeviceRead, staffOrAnybody, 5 * time.Second, ""},
		{"Devices.QueryTelemetry", never, "", "", nil, 0, "readings come without events, and are large"},
		{"Devices.RegisterDevice", writes, bff.EntityDevice, "", nil, 0, ""},
		{"Devices.UpdateDevice", writes, bff.EntityDevice, "", nil, 0, ""},
		{"Devices.DeleteDevice", writes, bff.EntityDevice, "", nil, 0, ""},
		{"Devices.RotateDeviceSecret", writes, bff.EntityDevice, "", nil, 0, "is an event of the device"},
		{"Devices.SendCommand", writes, bff.EntityDevice, "", nil, 0, "may change lockState"},
		{"Devices.CancelCommand", writes, bff.EntityDevice, "", nil, 0, "may change lockState"},
		{"Devices.SetDeviceConfig", writes, bff.EntityDevice, "", nil, 0, "is an event of the device"},
		{"Devices.SetDeviceConfigSchema", never, "", "", nil, 0, "configurations are not kept"},
		{"Devices.GetCommands", never, "", "", nil, 0, "commands move from one moment to the next"},
		{"Devices.ListDeviceCommands", never, "", "", nil, 0, "commands move from one moment to the next"},
		{"Devices.GetCommandLogs", never, "", "", nil, 0, "logs grow from one moment to the next"},
		{"Devices.GetDeviceLogs", never, "", "", nil, 0, "logs grow from one moment to the next"},
		{"Devices.GetDeviceConfigs", never, "", "", nil, 0, "devices report without an event"},
		{"Devices.ListConfigVersions", never, "", "", nil, 0, "seldom read"},
		{"Devices.ListDeviceConfigSchemas", never, "", "", nil, 0, "seldom read"},
		{"Devices.StartStream", writes, bff.EntityDevice, "", nil, 0, "is an event of the device"},
		{"Devices.StopStream", writes, bff.EntityDevice, "", nil, 0, "is an event of the device"},
		{"Devices.MoveCamera", writes, bff.EntityDevice, "", nil, 0, "is an event of the device, when an API key calls"},
		{"Devices.TakeSnapshot", writes, bff.EntityDevice, "", nil, 0, "is an event of the device, when an API key calls"},
		{"Devices.GetStreams", never, "", "", nil, 0, "streams move from one moment to the next"},
		{"Devices.ListDeviceCalls", never, "", "", nil, 0, "seldom read"},
		{"Devices.KeepRefusal", never, "", "", nil, 0, "calls are not kept"},

		{"Trips.GetTrips", keeps, bff.EntityTrip, caller.TripRead, ownAccount, minute, "under way: a second"},
		{"Trips.ListTrips", keeps, bff.EntityTrip, caller.TripRead, ownAccount, minute, "with one under way: a second"},
		{"Trips.GetOpenTripsByVehicle", keeps, bff.EntityTrip, caller.TripRead, ownAccount, ticking, "under the tag of the kind"},
		{"Trips.GetOpenTripOfAccount", keeps, bff.EntityTrip, caller.TripRead, ownAccount, ticking, ""},
		{"Trips.GetTracks", never, "", "", nil, 0, "large, and thinned by how many are asked for at once"},
		{"Trips.StartTrip", writes, bff.EntityTrip, "", nil, 0, "opens the vehicle: ends that too"},
		{"Trips.ReportPosition", writes, bff.EntityTrip, "", nil, 0, ""},
		{"Trips.EndTrip", writes, bff.EntityTrip, "", nil, 0, "locks the vehicle: ends that too"},

		{"Jobs.GetJobs", keeps, bff.EntityJob, caller.JobRead, ownAccount, minute, ""},
		{"Jobs.ListJobs", keeps, bff.EntityJob, caller.JobRead, ownAccount, minute, ""},
		{"Jobs.CountJobs", keeps, bff.EntityJob, caller.JobRead, ownAccount, minute, ""},
		{"Jobs.ListDeviceJobs", keeps, bff.EntityJob, caller.JobRead, ownAccount, minute, "under the tag of the kind"},
		{"Jobs.ListJobRuns", keeps, bff.EntityJob, caller.JobRead, ownAccount, 5 * time.Second, ""},
		{"Jobs.CreateJob", writes, bff.EntityJob, "", nil, 0, ""},
		{"Jobs.UpdateJob", writes, bff.EntityJob, "", nil, 0, ""},
		{"Jobs.CancelJob", writes, bff.EntityJob, "", nil, 0, ""},
		{"Jobs.RetryJob", writes, bff.EntityJob, "", nil, 0, ""},
		{"Jobs.DeleteJob", writes, bff.EntityJob, "", nil, 0, ""},

		{"Activities.GetActivities", keeps, bff.EntityActivity, caller.ActivityRead, ownAccount, minute, ""},
		{"Activities.ListActivities", keeps, bff.EntityActivity, caller.ActivityRead, ownAccount, minute, ""},
		{"Activities.ReportHydration", keeps, bff.EntityActivity, caller.ActivityRead, ownAccount, minute, ""},
		{"Activities.RecordActivity", writes, bff.EntityActivity, "", nil, 0, ""},
	}
}

// kinds are the entities of the table.
func kinds() []bff.Entity {
	return []bff.Entity{bff.EntityAccount, bff.EntityDevice, bff.EntityTrip, bff.EntityJob, bff.EntityActivity}
}

// sight tells callers who see different things apart: those with the same text see the same. It
// mirrors the rule of the service that answers; known is false for those whom the service refuses, or
// for whom this cannot be told. It is asked of who has signed in: API keys are limited in more ways,
// and share nothing but with themselves.
type sight func(who caller.Caller) (right string, known bool)

// rightOf is the caller's right to see, as a part of keys.
func (s sight) rightOf(who caller.Caller) (right string, known bool) {
	if who.APIKeyID == "" {
		return s(who)
	}
	who.SessionID, who.PointsPerMinute, who.ExpiresAt = "", 0, time.Time{} // these are for the gate, not for services
	text, err := json.Marshal(who)
	if err != nil {
		return "", false
	}
	sum := sha256.Sum256(text)
	return "key " + hex.EncodeToString(sum[:16]), true
}

// Rights of many.
const (
	staff   = "staff"
	members = "member"
)

// private tells whether the right is of one caller alone.
func private(right string) bool { return right != staff && right != members }

// staffOrAnybody is for what staff see all of, and others the same part.
func staffOrAnybody(who caller.Caller) (string, bool) {
	if who.Staff() {
		return staff, true
	}
	return members, who.Known()
}

// ownAccount is for what staff see all of, and others what is of their account.
func ownAccount(who caller.Caller) (string, bool) {
	if who.Staff() {
		return staff, true
	}
	return who.AccountID, who.AccountID != ""
}
