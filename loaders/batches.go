package loaders

import "github.com/sluicehq/sluice/bff"

// MaxKeys is the most keys that a batch function of this package takes at once.
const MaxKeys = maxBatch

// Batches are the batch functions over the ports: what a Set's loaders gather for, and what the
// engine (graph/plan) calls by itself.
type Batches struct {
	Account       Batch[string, *bff.Account]
	APIKey        Batch[string, *bff.ApiKey]
	Device        Batch[string, *bff.Device]
	DeviceEvents  Batch[PageKey, bff.Page[bff.DeviceEvent]]
	DeviceJobs    Batch[PageKey, bff.Page[bff.Job]]
	DeviceSeries  Batch[SeriesKey, []*bff.Series]
	DeviceConfig  Batch[string, *bff.DeviceConfig]
	ConfigHistory Batch[PageKey, bff.Page[bff.DeviceConfigVersion]]
	Trip          Batch[string, *bff.Trip]
	TripOnVehicle Batch[string, *bff.Trip]
	Track         Batch[TrackKey, []*bff.Position]
	Job           Batch[string, *bff.Job]
	JobRuns       Batch[PageKey, bff.Page[bff.JobRun]]
	Activity      Batch[string, *bff.Activity]
}

// NewBatches gives the batch functions over the ports.
func NewBatches(p Ports) *Batches {
	return &Batches{
		Account:       accounts(p.Accounts),
		APIKey:        apiKeys(p.Accounts),
		Device:        devices(p.Devices),
		DeviceEvents:  deviceEvents(p.Devices),
		DeviceJobs:    deviceJobs(p.Jobs),
		DeviceSeries:  deviceSeries(p.Devices),
		DeviceConfig:  deviceConfigs(p.Devices),
		ConfigHistory: configHistory(p.Devices),
		Trip:          trips(p.Trips),
		TripOnVehicle: tripsOnVehicles(p.Trips),
		Track:         tracks(p.Trips),
		Job:           jobs(p.Jobs),
		JobRuns:       jobRuns(p.Jobs),
		Activity:      activities(p.Activities),
	}
}
