package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/ingress"
)

func withSecret(t *testing.T, s assembly.Store, hash string) device.Device {
	t.Helper()
	made := change(named("d", 0), device.Registered)
	made.SecretHash = hash
	d, err := s.Create(t.Context(), idempotency.Key{}, *made)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func acquire(t *testing.T, s assembly.Store, d device.Device, client string, ttl time.Duration, minutes int, clean bool) ingress.Ownership {
	t.Helper()
	owned, err := s.AcquireSession(t.Context(), ingress.Claim{
		Key: ingress.Key{DeviceID: d.ID, ClientID: client}, SecretHash: "h", Clean: clean, TTL: ttl, Limit: 2, Now: minute(minutes),
	})
	if err != nil {
		t.Fatal(err)
	}
	return owned
}

func sessionsContinue(t *testing.T, s assembly.Store) {
	d := withSecret(t, s, "h")
	key := ingress.Key{DeviceID: d.ID, ClientID: "c"}
	first := acquire(t, s, d, "c", time.Hour, 0, false)
	if first.Present {
		t.Error("a new session is present")
	}
	filters := []ingress.Filter{{Topic: "devices/" + d.ID + "/#", QoS: 1}}
	if err := s.SubscribeSession(t.Context(), key, first.Generation, filters); err != nil {
		t.Fatal(err)
	}
	second := acquire(t, s, d, "c", time.Hour, 1, false)
	if !second.Present || !slices.Equal(second.Filters, filters) || second.Generation <= first.Generation {
		t.Errorf("the session goes on as %+v after %+v", second, first)
	}
	// An earlier generation has no effect.
	if err := s.ReleaseSession(t.Context(), key, first.Generation, ingress.End{Now: minute(2)}); err != nil {
		t.Fatal(err)
	}
	if owned, err := s.OwnedSessions(t.Context(), d.ID); err != nil || owned[key] != second.Generation {
		t.Errorf("owned are %v, %v", owned, err)
	}
	if err := s.ReleaseSession(t.Context(), key, second.Generation, ingress.End{Now: minute(2)}); err != nil {
		t.Fatal(err)
	}
	if owned, err := s.OwnedSessions(t.Context(), ""); err != nil || len(owned) != 0 {
		t.Errorf("owned after the release are %v, %v", owned, err)
	}
	if third := acquire(t, s, d, "c", time.Hour, 30, false); !third.Present {
		t.Error("a session ended before its TTL")
	} else if err := s.ReleaseSession(t.Context(), key, third.Generation, ingress.End{Now: minute(30)}); err != nil {
		t.Fatal(err)
	}
	if err := s.ExpireSessions(t.Context(), minute(91)); err != nil {
		t.Fatal(err)
	}
	if fourth := acquire(t, s, d, "c", 0, 91, false); fourth.Present {
		t.Error("a session outlives its TTL")
	} else if err := s.ReleaseSession(t.Context(), key, fourth.Generation, ingress.End{Now: minute(91)}); err != nil {
		t.Fatal(err)
	}
	if fifth := acquire(t, s, d, "c", time.Hour, 92, false); fifth.Present {
		t.Error("a session without TTL outlives its connection")
	}
	if sixth := acquire(t, s, d, "c", time.Hour, 93, true); sixth.Present || len(sixth.Filters) != 0 {
		t.Errorf("a clean start goes on as %+v", sixth)
	}
}

func sessionsAreBounded(t *testing.T, s assembly.Store) {
	d := withSecret(t, s, "h")
	a := acquire(t, s, d, "a", time.Hour, 0, false)
	acquire(t, s, d, "b", time.Hour, 1, false)
	if err := s.ReleaseSession(t.Context(), ingress.Key{DeviceID: d.ID, ClientID: "b"}, 0, ingress.End{Now: minute(1)}); err != nil {
		t.Fatal(err)
	}
	if got := acquire(t, s, d, "c", time.Hour, 2, false).Evicted; len(got) != 1 || got[0].ClientID != "a" {
		t.Errorf("evicted %v, want the oldest connection", got)
	}
	c := acquire(t, s, d, "c", time.Hour, 3, false)
	if err := s.ReleaseSession(t.Context(), ingress.Key{DeviceID: d.ID, ClientID: "c"}, c.Generation, ingress.End{Now: minute(3)}); err != nil {
		t.Fatal(err)
	}
	if got := acquire(t, s, d, "e", time.Hour, 4, false).Evicted; len(got) != 1 || got[0].ClientID != "c" {
		t.Errorf("evicted %v, want the session without a connection", got)
	}
	if connected, err := s.ConnectedDevices(t.Context()); err != nil || !connected[d.ID].Equal(minute(1)) {
		t.Errorf("connected are %v, %v", connected, err)
	}
	_ = a
}

func sessionsEndWithTheSecret(t *testing.T, s assembly.Store) {
	d := withSecret(t, s, "h")
	acquire(t, s, d, "a", time.Hour, 0, false)
	_, err := s.Change(t.Context(), d.ID, func(d device.Device) (*device.Change, error) {
		d.Version++
		c := change(d, device.Updated)
		c.SecretHash = "other"
		return c, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if owned, err := s.OwnedSessions(t.Context(), d.ID); err != nil || len(owned) != 0 {
		t.Errorf("owned after the rotation are %v, %v", owned, err)
	}
	for _, id := range []string{d.ID, ids.New(ids.Device)} {
		_, err = s.AcquireSession(t.Context(), ingress.Claim{Key: ingress.Key{DeviceID: id, ClientID: "a"}, SecretHash: "h", Limit: 2, Now: minute(1)})
		if !errors.Is(err, ingress.ErrSecretChanged) {
			t.Errorf("a rotated secret acquires: %v", err)
		}
	}
}

func processesAreReleased(t *testing.T, s assembly.Store) {
	d := withSecret(t, s, "h")
	acquire(t, s, d, "a", time.Hour, 0, false)
	acquire(t, s, d, "b", 0, 0, false)
	first, err := s.Heartbeat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Heartbeat(t.Context())
	if err != nil || second[s.Node()] <= first[s.Node()] {
		t.Errorf("heartbeats are %v after %v, %v", second, first, err)
	}
	if nodes, err := s.OwnerNodes(t.Context(), d.ID); err != nil || len(nodes) != 0 {
		t.Errorf("other processes hold %v, %v", nodes, err)
	}
	gone, err := s.ReleaseNode(t.Context(), "", minute(1), time.Minute)
	if err != nil || !slices.Equal(gone, []string{d.ID}) {
		t.Errorf("released %v, %v", gone, err)
	}
	if connected, err := s.ConnectedDevices(t.Context()); err != nil || len(connected) != 0 {
		t.Errorf("connected are %v, %v", connected, err)
	}
	if !acquire(t, s, d, "a", time.Hour, 2, false).Present || acquire(t, s, d, "b", 0, 2, false).Present {
		t.Error("of the sessions of a dead process, those with a TTL stay")
	}
}

// A failed write within a group does not affect other writes; an error of the group rolls back all.
func groupsCommitTogether(t *testing.T, s assembly.Store) {
	good, bad, d := named("good", 0), named("bad", 0), named("d", 0)
	create(t, s, d)
	refusal := errors.New("no")
	err := s.Group(t.Context(), func(ctx context.Context) error {
		if _, err := s.Create(ctx, idempotency.Key{}, *change(good, device.Registered)); err != nil {
			return err
		}
		if _, err := s.Create(ctx, idempotency.Key{}, *change(d, device.Registered)); err == nil {
			return errors.New("the same device is created twice")
		}
		if _, err := s.Change(ctx, d.ID, func(device.Device) (*device.Change, error) { return nil, refusal }); !errors.Is(err, refusal) {
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mustGet(t, s, good.ID)
	err = s.Group(t.Context(), func(ctx context.Context) error {
		if _, err := s.Create(ctx, idempotency.Key{}, *change(bad, device.Registered)); err != nil {
			return err
		}
		return refusal
	})
	if !errors.Is(err, refusal) {
		t.Fatal(err)
	}
	if found, err := s.Get(t.Context(), []string{bad.ID}); err != nil || len(found) != 0 {
		t.Errorf("a group that failed leaves %v, %v", found, err)
	}
}

// A last will is due after its delay, or after the grace when its process has died, unless its client reconnects. It is
// published once.
func lastWillsOutliveTheProcess(t *testing.T, s assembly.Store) {
	d := withSecret(t, s, "h")
	claim := func(client string, delay time.Duration, at int) ingress.Ownership {
		owned, err := s.AcquireSession(t.Context(), ingress.Claim{
			Key: ingress.Key{DeviceID: d.ID, ClientID: client}, SecretHash: "h", Limit: 9, Now: minute(at),
			Will: &ingress.Will{Message: device.UpMessage{DeviceID: d.ID, Topic: "events", Payload: []byte(client)}, Delay: delay},
		})
		if err != nil {
			t.Fatal(err)
		}
		return owned
	}
	release := func(client string, owned ingress.Ownership, will bool) {
		if err := s.ReleaseSession(t.Context(), ingress.Key{DeviceID: d.ID, ClientID: client}, owned.Generation, ingress.End{Will: will, Now: minute(1)}); err != nil {
			t.Fatal(err)
		}
	}
	published := func(at int, failure error) (clients []string) {
		err := s.PublishWills(t.Context(), minute(at), func(_ context.Context, wills []device.UpMessage) error {
			for _, w := range wills {
				clients = append(clients, string(w.Payload))
			}
			return failure
		})
		if !errors.Is(err, failure) {
			t.Error(err)
		}
		slices.Sort(clients)
		return clients
	}
	release("left", claim("left", time.Minute, 0), false)
	release("delayed", claim("delayed", 2*time.Minute, 0), true)
	release("back", claim("back", 2*time.Minute, 0), true)
	claim("back", 0, 2)
	claim("crashed", 0, 0)
	if _, err := s.ReleaseNode(t.Context(), "", minute(2), 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := s.ExpireSessions(t.Context(), minute(2)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at      int
		failure error
		want    []string
	}{
		{2, nil, nil}, {3, errors.New("not now"), []string{"delayed"}}, {3, nil, []string{"delayed"}}, {3, nil, nil},
		{7, nil, []string{"back", "crashed"}}, {90, nil, nil},
	} {
		if got := published(c.at, c.failure); !slices.Equal(got, c.want) {
			t.Errorf("in minute %d the wills of %v are published, want %v", c.at, got, c.want)
		}
	}
}
