// Package storetest is the conformance suite for stores of the device service.
package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/registry"
)

// Run runs the suite; open returns an empty store.
func Run(t *testing.T, open func(t *testing.T) assembly.Store) {
	for name, test := range map[string]func(t *testing.T, s assembly.Store){
		"a device reads back as it was created":              readsBack,
		"a repeat under a key gives the first device":        repeats,
		"a change is kept":                                   storesChanges,
		"a refused change leaves the device":                 recordsRefusals,
		"changes of one device come one after another":       serialisesChanges,
		"of two who expect a version one wins":               oneWins,
		"a deleted device is nowhere":                        deletes,
		"an import creates, merges and answers in order":     imports,
		"imports that meet make each device once":            importsOnce,
		"a deleted device is imported anew":                  importsAnew,
		"filters narrow":                                     filters,
		"lists and counts follow the visibility rule":        visibilityFollowsTheRule,
		"names sort whatever the case":                       sortsNames,
		"a thousand devices page in order":                   pagesAll,
		"pages by name stand still while rows come and go":   pagesAreStable(registry.ByName),
		"pages of the newest stand still likewise":           pagesAreStable(registry.Newest),
		"cursors of others are refused":                      refusesCursors,
		"devices count by presence and kind":                 counts,
		"readings are rolled up and add up as before":        rolls,
		"a note changes nothing of its device":               notes,
		"secrets are kept as hashes":                         secrets,
		"readings of many messages are kept together":        recordsAll,
		"the latest position is kept":                        observes,
		"the last report is kept":                            reports,
		"presences are kept and published once":              presences,
		"presences change side by side":                      presencesAtOnce,
		"events page by device":                              eventsPage,
		"a reading is kept once":                             readingsOnce,
		"a corrected reading replaces the stored one":        readingsCorrected,
		"steps of readings follow the time zone":             stepsInZones,
		"the newest reading says when a device was seen":     updatesLastSeen,
		"readings of no device are refused":                  readingsOfNone,
		"series hold what was asked":                         raw,
		"steps agree with a sum by hand":                     steps,
		"sums of the greatest values stay finite":            greatest,
		"too many points are refused":                        tooMany,
		"batches for one device at once are all kept":        recordsAtOnce,
		"a device that is gone takes no readings or changes": deletedDeviceRefusesChanges,
		"a command reads back as it was sent":                commandReadsBack,
		"commands are found by the labels of their devices":  commandsByLabels,
		"a refused decision leaves nothing":                  refusedWork,
		"a repeat under a key gives the first command":       repeatedWork,
		"decisions about one device come one after another":  serialisesWork,
		"a decision is about what there is":                  workOnNothing,
		"a reference finds its unlock":                       findsReference,
		"what is due is found, the most urgent first":        findsDue,
		"open commands outlive their device":                 outlivesDevice,
		"commands page by device":                            commandsPage,
		"a line of a log is kept once":                       linesOnce,
		"logs read by command and by device":                 readsLogs,
		"a lock reads back with its device":                  lockReadsBack,
		"a configuration reads back as it was changed":       configReadsBack,
		"wanted configurations page by device":               configVersionsPage,
		"old wanted configurations are forgotten":            forgetsOldConfigs,
		"a wanted configuration is to be delivered once":     deliversConfigsOnce,
		"schemas read back as they were set":                 schemasReadBack,
		"a stream reads back as it was changed":              streamReadsBack,
		"changes of a stream come one after another":         serialisesStreams,
		"calls list, and are noted where there is a device":  callsList,
		"old calls are forgotten":                            forgetsCalls,
		"old events are forgotten":                           forgetsEvents,
		"commands that are long over are forgotten":          forgetsCommands,
		"long logs are forgotten in parts":                   forgetsLongLogs,
		"of a busy device the newest are kept":               trims,
		"a session continues until its TTL":                  sessionsContinue,
		"sessions of a device are bounded":                   sessionsAreBounded,
		"sessions end with the secret":                       sessionsEndWithTheSecret,
		"sessions of a dead process are released":            processesAreReleased,
		"last wills outlive the process":                     lastWillsOutliveTheProcess,
		"writes of a group commit together":                  groupsCommitTogether,
		"what is sent during a ride is hidden":               ridesHide,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, open(t)) })
	}
}

func dawn() time.Time { return time.Date(2026, 3, 1, 6, 0, 0, 123_456_000, time.UTC) }

func named(name string, minutes int) device.Device {
	at := dawn().Add(time.Duration(minutes) * time.Minute)
	return device.Device{
		ID: ids.New(ids.Device), Version: 1, Name: name, Kind: device.Sensor, Labels: map[string]string{},
		Presence: device.Unknown, CreatedAt: at, UpdatedAt: at,
	}
}

func change(d device.Device, what device.EventType) *device.Change {
	return &device.Change{Device: d, Event: device.Event{
		ID: ids.New(ids.Event), DeviceID: d.ID, At: d.UpdatedAt, Type: what,
		Message: fmt.Sprintf("version %d", d.Version), Actor: "system", Data: `{"version":1}`,
	}}
}

func create(t *testing.T, s assembly.Store, all ...device.Device) {
	t.Helper()
	for _, d := range all {
		if _, err := s.Create(t.Context(), idempotency.Key{}, *change(d, device.Registered)); err != nil {
			t.Fatal(err)
		}
	}
}

func get(t *testing.T, s assembly.Store, id string) (device.Device, bool) {
	t.Helper()
	found, err := s.Get(t.Context(), []string{id})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		return device.Device{}, false
	}
	return found[0], true
}

func mustGet(t *testing.T, s assembly.Store, id string) device.Device {
	t.Helper()
	d, ok := get(t, s, id)
	if !ok {
		t.Fatalf("%s is not there", id)
	}
	return d
}

func rename(name string) registry.Decide {
	return func(d device.Device) (*device.Change, error) {
		d.Name, d.Version, d.UpdatedAt = name, d.Version+1, d.UpdatedAt.Add(time.Minute)
		return change(d, device.Updated), nil
	}
}

func remove(d device.Device) (*device.Change, error) {
	d.Deleted, d.Version, d.UpdatedAt = true, d.Version+1, d.UpdatedAt.Add(time.Minute)
	return change(d, device.Deleted), nil
}

func mustChange(t *testing.T, s assembly.Store, id string, decide registry.Decide) device.Device {
	t.Helper()
	d, err := s.Change(t.Context(), id, decide)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
