package loaders

import "github.com/sluicehq/sluice/bff"

// MaxKeys is the most keys that a batch function of this package takes at once.
const MaxKeys = maxBatch

// Batches are the batch functions over the ports: what a Set's loaders gather for, and what the
// engine (graph/plan) calls by itself.
type Batches struct {
	Account        Batch[string, *bff.Account]
	APIKey         Batch[string, *bff.ApiKey]
	Device         Batch[string, *bff.Device]
	DeviceEvents   Batch[PageKey, bff.Page[bff.DeviceEvent]]
	DeviceJobs     Batch[PageKey, bff.Page[bff.Job]]
	DeviceCommands Batch[PageKey, bff.Page[bff.Command]]
	DeviceLog      Batch[LogKey, []*bff.LogLine]
	Command        Batch[string, *bff.Command]
	CommandLog     Batch[LogKey, []*bff.LogLine]
	DeviceSeries   Batch[SeriesKey, []*bff.Series]
	Trip           Batch[string, *bff.Trip]
	TripOnVehicle  Batch[string, *bff.Trip]
	Track          Batch[TrackKey, []*bff.Position]
	Job            Batch[string, *bff.Job]
	JobRuns        Batch[PageKey, bff.Page[bff.JobRun]]
	Activity       Batch[string, *bff.Activity]
	DeviceConfig   Batch[string, *bff.DeviceConfig]
	Stream         Batch[string, *bff.StreamSession]
	ConfigHistory  Batch[PageKey, bff.Page[bff.DeviceConfigVersion]]
}

// NewBatches gives the batch functions over the ports.
func NewBatches(p Ports) *Batches {
	return &Batches{
		Account:        accounts(p.Accounts),
		APIKey:         apiKeys(p.Accounts),
		Device:         devices(p.Devices),
		DeviceEvents:   deviceEvents(p.Devices),
		DeviceJobs:     deviceJobs(p.Jobs),
		DeviceCommands: deviceCommands(p.Devices),
		DeviceLog:      deviceLog(p.Devices),
		Command:        commands(p.Devices),
		CommandLog:     commandLog(p.Devices),
		DeviceSeries:   deviceSeries(p.Devices),
		Trip:           trips(p.Trips),
		TripOnVehicle:  tripsOnVehicles(p.Trips),
		Track:          tracks(p.Trips),
		Job:            jobs(p.Jobs),
		JobRuns:        jobRuns(p.Jobs),
		Activity:       activities(p.Activities),
		DeviceConfig:   deviceConfigs(p.Devices),
		Stream:         streams(p.Devices),
		ConfigHistory:  configHistory(p.Devices),
	}
}
