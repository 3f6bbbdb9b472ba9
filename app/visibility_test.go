package app_test

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/cache/policy"
	bffentity "github.com/sluicehq/sluice/bff/entity"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/entity/entitytest"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/activity"
	activityrpc "github.com/sluicehq/sluice/services/activity/rpc"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
	devicerpc "github.com/sluicehq/sluice/services/device/rpc"
	"github.com/sluicehq/sluice/services/job"
	jobrpc "github.com/sluicehq/sluice/services/job/rpc"
	"github.com/sluicehq/sluice/services/trip"
	triprpc "github.com/sluicehq/sluice/services/trip/rpc"
)

// domainEntity is an entity as its service stores it: with its facts, and with the payload of its events.
type domainEntity struct {
	facts   entity.Facts
	payload func() ([]byte, error)
}

// domainEntities creates an entity with the facts, by kind.
func domainEntities() map[entity.Kind]func(entity.Facts) domainEntity {
	at := time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)
	return map[entity.Kind]func(entity.Facts) domainEntity{
		entity.Device: func(f entity.Facts) domainEntity {
			d := device.Device{ID: ids.New(ids.Device), Kind: device.Kind(f.Kind), Labels: f.Labels, CreatedAt: at, UpdatedAt: at}
			return domainEntity{d.Facts(), func() ([]byte, error) { return devicerpc.Encoding().Device(d) }}
		},
		entity.Trip: func(f entity.Facts) domainEntity {
			t := trip.Trip{ID: ids.New(ids.Trip), Status: trip.InProgress, AccountID: f.Owner, Start: trip.Position{At: at}}
			return domainEntity{t.Facts(), func() ([]byte, error) { return triprpc.EncodeTrip(t) }}
		},
		entity.Job: func(f entity.Facts) domainEntity {
			j := job.Job{ID: ids.New(ids.Job), Status: job.Scheduled, CreatedBy: f.Owner, CreatedAt: at, UpdatedAt: at}
			return domainEntity{j.Facts(), func() ([]byte, error) { return jobrpc.EncodeJob(j) }}
		},
		entity.Activity: func(f entity.Facts) domainEntity {
			a := activity.Activity{ID: ids.New(ids.Activity), Kind: activity.Note, AccountID: f.Owner, StartedAt: at, CreatedAt: at}
			return domainEntity{a.Facts(), func() ([]byte, error) { return activityrpc.EncodeActivity(a) }}
		},
		// A log line lacks the labels of its device. So a limited caller reads it from the service, which knows the
		// device, and receives no event of it.
		entity.LogLine: func(entity.Facts) domainEntity {
			l := command.LogLine{CommandID: ids.New(ids.Command), DeviceID: ids.New(ids.Device), At: at, Stream: "stdout"}
			return domainEntity{entity.Facts{}, func() ([]byte, error) { return devicerpc.Encoding().LogLine(l) }}
		},
	}
}

// A service decides by the facts of its domain type, the cache by the right under which an earlier reader has filled an
// entry, and a subscription by the facts of the event's view. All agree with Sees, for every caller and all facts.
func TestServiceCacheAndSubscriptionAgreeOnVisibility(t *testing.T) {
	t.Parallel()
	fixtures, pairs := entitytest.New(), 0
	withoutScopes := fixtures.Callers["API key of a member"]
	withoutScopes.Scopes = nil
	fixtures.Callers["key without scopes"] = withoutScopes
	for kind, create := range domainEntities() {
		for _, facts := range fixtures.Facts() {
			stored := create(facts)
			event := decode(t, kind, stored)
			if kind == entity.LogLine {
				facts = entity.Facts{}
			}
			cached := cachedReads(kind)
			for name, who := range fixtures.Callers {
				want := kind.Sees(who, facts)
				decisions := map[string]bool{"service": kind.Sees(who, stored.facts), "subscription": kind.Sees(who, event.Facts)}
				for _, method := range cached {
					decisions[method.rule.Name] = method.read(who, want)
				}
				for decider, got := range decisions {
					if got != want {
						t.Errorf("%s with %+v: %s shows it to the %s: %t, want %t", kind, facts, decider, name, got, want)
					}
				}
				pairs++
			}
		}
	}
	if pairs < 500 {
		t.Fatalf("only %d pairs of a caller and an entity", pairs)
	}
}

func decode(t *testing.T, kind entity.Kind, stored domainEntity) *bff.Event {
	t.Helper()
	payload, err := stored.payload()
	if err != nil {
		t.Fatal(kind, err)
	}
	event := &bff.Event{Entity: kind}
	if err := bffentity.Decode(event, payload); err != nil || event.Node == nil {
		t.Fatalf("%s: the event has the view %v, error %v", kind, event.Node, err)
	}
	return event
}

// cachedRead is a cached method that reads one entity: what it has served, by the right of the caller.
type cachedRead struct {
	rule    policy.Rule
	entries map[string]bool
}

func cachedReads(kind entity.Kind) (reads []cachedRead) {
	for _, rule := range policy.Rules() {
		if rule.Kind == kind && rule.Use == bffentity.Cached {
			reads = append(reads, cachedRead{rule, map[string]bool{}})
		}
	}
	return reads
}

// read returns whether the caller receives the entity: from the entry under its right, else from the service.
func (c cachedRead) read(who caller.Caller, fromService bool) bool {
	right, known := c.rule.RightOf(who)
	if !known {
		return fromService
	}
	if served, hit := c.entries[right]; hit {
		return served
	}
	c.entries[right] = fromService
	return fromService
}

func TestEntityWithEventsHasAVisibilityFixture(t *testing.T) {
	t.Parallel()
	known := domainEntities()
	for _, row := range bffentity.Rows() {
		invalid := []byte{0xff}
		if bffentity.Decode(&bff.Event{Entity: row.Kind}, invalid) != nil && known[row.Kind] == nil {
			t.Errorf("%s has events, and no fixture here", row.Kind)
		}
	}
}
