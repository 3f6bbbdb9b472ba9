package entity

import (
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
)

// CacheUse says what the cache does with the calls of a method.
type CacheUse int

const (
	// Bypass passes calls to the service and caches nothing.
	Bypass CacheUse = iota
	// Cached is a read whose responses are cached.
	Cached
	// Invalidates is a write that invalidates its kind, and the entities that it names.
	Invalidates
)

// Method is what the cache does with one method of a port.
type Method struct {
	Name   string // "Devices.GetDevices"
	Use    CacheUse
	Scope  string        // the service refuses a caller without it
	TTL    time.Duration // without an earlier invalidation
	Reason string
}

// CachedKinds are the kinds with cached responses, in the order of the rows. It is never written.
var CachedKinds = func() []entity.Kind {
	var kinds []entity.Kind
	for _, r := range rows {
		if slices.ContainsFunc(r.Methods, func(m Method) bool { return m.Use != Bypass }) {
			kinds = append(kinds, r.Kind)
		}
	}
	return kinds
}()

// InProgressTTL is the TTL of a trip in progress: its fee and duration change every second.
const InProgressTTL = time.Second

// An entity is cached under its own tag; lists, and ids that do not exist, under the tag of the kind. A write, and an
// event of a service, invalidates the kind and the entities that it names. So a TTL bounds only changes without
// either. Each method of each port has a row.

var accountMethods = []Method{ // a table, never written
	{"Accounts.GetAccounts", Cached, caller.AccountRead, time.Minute, ""},
	{"Accounts.Login", Invalidates, "", 0, "creates the account at the first sign-in"},
	{"Accounts.EnsureAccount", Invalidates, "", 0, ""},
	{"Accounts.RefreshSession", Bypass, "", 0, "sessions are not cached"},
	{"Accounts.Logout", Bypass, "", 0, "sessions are not cached"},
	{"Accounts.CheckSessions", Bypass, "", 0, "an ended session must fail at once; bff/auth caches it"},
	{"Accounts.KeySet", Bypass, "", 0, "bff/auth caches it"},
	{"Accounts.VerifyAPIKey", Bypass, "", 0, "a revoked key must fail at once"},
	{"Accounts.CreateAPIKey", Bypass, "", 0, "API keys are not cached"},
	{"Accounts.RotateAPIKey", Bypass, "", 0, "API keys are not cached"},
	{"Accounts.RevokeAPIKey", Bypass, "", 0, "API keys are not cached"},
	{"Accounts.ListAPIKeys", Bypass, "", 0, "holds when keys were used, for which there is no event"},
	{"Accounts.GetAPIKeys", Bypass, "", 0, "holds when keys were used, for which there is no event"},
}

var deviceMethods = []Method{ // a table, never written
	{"Devices.GetDevices", Cached, caller.DeviceRead, 5 * time.Second, "lastSeenAt changes without an event; a rider's own view is not cached"},
	{"Devices.ListDevices", Cached, caller.DeviceRead, 5 * time.Second, "lastSeenAt changes without an event; a rider's own view is not cached"},
	{"Devices.CountDevices", Cached, caller.DeviceRead, 5 * time.Second, ""},
	{"Devices.ListDeviceEvents", Bypass, "", 0, "messages of devices and retention write without an event"},
	{"Devices.QueryTelemetry", Bypass, "", 0, "readings have no events, and are large"},
	{"Devices.RegisterDevice", Invalidates, "", 0, ""},
	{"Devices.UpdateDevice", Invalidates, "", 0, ""},
	{"Devices.DeleteDevice", Invalidates, "", 0, ""},
	{"Devices.RotateDeviceSecret", Invalidates, "", 0, "adds an event to the device"},
	{"Devices.SendCommand", Invalidates, "", 0, "may change lockState"},
	{"Devices.CancelCommand", Invalidates, "", 0, "may change lockState"},
	{"Devices.SetDeviceConfig", Invalidates, "", 0, "adds an event to the device"},
	{"Devices.SetDeviceConfigSchema", Bypass, "", 0, "configurations are not cached"},
	{"Devices.GetCommands", Bypass, "", 0, "commands change at any moment"},
	{"Devices.ListDeviceCommands", Bypass, "", 0, "commands change at any moment"},
	{"Devices.GetCommandLogs", Bypass, "", 0, "logs grow at any moment"},
	{"Devices.GetDeviceLogs", Bypass, "", 0, "logs grow at any moment"},
	{"Devices.GetDeviceConfigs", Bypass, "", 0, "devices report without an event"},
	{"Devices.ListConfigVersions", Bypass, "", 0, "read too rarely"},
	{"Devices.ListDeviceConfigSchemas", Bypass, "", 0, "read too rarely"},
	{"Devices.StartStream", Invalidates, "", 0, "adds an event to the device"},
	{"Devices.StopStream", Invalidates, "", 0, "adds an event to the device"},
	{"Devices.MoveCamera", Invalidates, "", 0, "adds an event to the device when an API key calls"},
	{"Devices.TakeSnapshot", Invalidates, "", 0, "adds an event to the device when an API key calls"},
	{"Devices.GetStreams", Bypass, "", 0, "streams change at any moment"},
	{"Devices.ListDeviceCalls", Bypass, "", 0, "read too rarely"},
	{"Devices.RecordRefusal", Bypass, "", 0, "the audit log is not cached"},
}

var tripMethods = []Method{ // a table, never written
	{"Trips.GetTrips", Cached, caller.TripRead, time.Minute, "a trip in progress: one second"},
	{"Trips.ListTrips", Cached, caller.TripRead, time.Minute, "with a trip in progress: one second"},
	{"Trips.GetOpenTripsByVehicle", Cached, caller.TripRead, InProgressTTL, "under the tag of the kind"},
	{"Trips.GetOpenTripOfAccount", Cached, caller.TripRead, InProgressTTL, ""},
	{"Trips.GetTracks", Bypass, "", 0, "large, and thinned by the number of tracks in one request"},
	{"Trips.StartTrip", Invalidates, "", 0, "opens the vehicle: invalidates that too"},
	{"Trips.ReportPosition", Invalidates, "", 0, ""},
	{"Trips.EndTrip", Invalidates, "", 0, "locks the vehicle: invalidates that too"},
}

var jobMethods = []Method{ // a table, never written
	{"Jobs.GetJobs", Cached, caller.JobRead, time.Minute, ""},
	{"Jobs.ListJobs", Cached, caller.JobRead, time.Minute, ""},
	{"Jobs.CountJobs", Cached, caller.JobRead, time.Minute, ""},
	{"Jobs.ListDeviceJobs", Cached, caller.JobRead, time.Minute, "under the tag of the kind"},
	{"Jobs.ListJobRuns", Cached, caller.JobRead, 5 * time.Second, ""},
	{"Jobs.CreateJob", Invalidates, "", 0, ""},
	{"Jobs.UpdateJob", Invalidates, "", 0, ""},
	{"Jobs.CancelJob", Invalidates, "", 0, ""},
	{"Jobs.RetryJob", Invalidates, "", 0, ""},
	{"Jobs.DeleteJob", Invalidates, "", 0, ""},
}

var activityMethods = []Method{ // a table, never written
	{"Activities.GetActivities", Cached, caller.ActivityRead, time.Minute, ""},
	{"Activities.ListActivities", Cached, caller.ActivityRead, time.Minute, ""},
	{"Activities.ReportHydration", Cached, caller.ActivityRead, time.Minute, ""},
	{"Activities.RecordActivity", Invalidates, "", 0, ""},
	{"Activities.UpdateActivity", Invalidates, "", 0, ""},
	{"Activities.DeleteActivity", Invalidates, "", 0, ""},
	{"Activities.ListRevisions", Bypass, "", 0, "read too rarely"},
}
