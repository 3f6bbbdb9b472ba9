package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/obs"
	wire "github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/maintenance"
	"github.com/sluicehq/sluice/services/device/registry"
	"github.com/sluicehq/sluice/services/device/rpc"
	"github.com/sluicehq/sluice/services/device/store"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

// client is the device service as its callers have it.
type client struct {
	devicev1.DevicesClient
	calls devicev1.CallsClient
	db    *sqldb.DB
	clock *clock.Manual
}

func open(t *testing.T) client {
	t.Helper()
	db := sqltest.OpenSQLite(t, store.Migrations())
	now := clock.NewManual(time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC))
	service := assembly.New(store.New(db, rpc.Encoding()), now, assembly.Options{})
	options := wire.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Tracing: obs.NoTracing()}
	channel := wire.NewChannel(options, func(r grpc.ServiceRegistrar) { rpc.Register(r, service) })
	within := wire.Within(channel, options)
	return client{DevicesClient: devicev1.NewDevicesClient(within), calls: devicev1.NewCallsClient(within), db: db, clock: now}
}

// as is a context in which somebody of the role calls, with all its scopes.
func as(t *testing.T, role caller.Role) context.Context {
	return caller.NewContext(t.Context(), caller.Caller{AccountID: "account_" + strings.ToLower(string(role)), Role: role, Scopes: caller.ScopesOf(role)})
}

func (h client) register(t *testing.T, name string, kind devicev1.Kind) *devicev1.Device {
	t.Helper()
	d, err := h.RegisterDevice(as(t, caller.Admin), &devicev1.RegisterDeviceRequest{Name: name, Kind: kind, Labels: map[string]string{"site": "north"}})
	if err != nil {
		t.Fatal(err)
	}
	return d.GetDevice()
}

// refused fails the test unless err has the code and the reason, and its message the text.
func refused(t *testing.T, what string, err error, code errs.Code, reason, text string) {
	t.Helper()
	if !errors.Is(err, errs.New(code, reason, "")) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: got %v, want %s %s … %s", what, err, code, reason, text)
	}
}

func same(t *testing.T, what string, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("%s: got %v\nwant %v", what, got, want)
	}
}

func TestADeviceLivesItsLife(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), as(t, caller.Admin)
	made := h.register(t, "Press 4", devicev1.Kind_KIND_SENSOR)
	at := timestamppb.New(h.clock.Now())
	same(t, "registered", made, &devicev1.Device{
		Id: made.GetId(), Name: "Press 4", Kind: devicev1.Kind_KIND_SENSOR, Labels: map[string]string{"site": "north"}, Version: 1,
		Presence: devicev1.Presence_PRESENCE_UNKNOWN, CreatedAt: at, UpdatedAt: at,
	})
	h.clock.Advance(time.Minute)
	changed, err := h.UpdateDevice(ctx, &devicev1.UpdateDeviceRequest{Id: made.GetId(), Name: proto.String("Press 5"), ExpectedVersion: proto.Int64(1)})
	if err != nil || changed.GetVersion() != 2 || changed.GetName() != "Press 5" || changed.GetLabels()["site"] != "north" {
		t.Fatalf("renamed: %v, %v", changed, err)
	}
	again, err := h.UpdateDevice(ctx, &devicev1.UpdateDeviceRequest{Id: made.GetId(), Name: proto.String("Press 5")})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "renamed to what it is", again, changed)
	_, err = h.UpdateDevice(ctx, &devicev1.UpdateDeviceRequest{Id: made.GetId(), Name: proto.String("x"), ExpectedVersion: proto.Int64(1)})
	refused(t, "a late update", err, errs.Aborted, errs.ReasonVersionConflict, "version 2")
	bare, err := h.UpdateDevice(ctx, &devicev1.UpdateDeviceRequest{Id: made.GetId(), Labels: &devicev1.Labels{}})
	if err != nil || len(bare.GetLabels()) != 0 || bare.GetVersion() != 3 {
		t.Errorf("labels taken off: %v, %v", bare, err)
	}
	_, err = h.DeleteDevice(ctx, &devicev1.DeleteDeviceRequest{Id: made.GetId(), ExpectedVersion: proto.Int64(2)})
	refused(t, "a late delete", err, errs.Aborted, errs.ReasonVersionConflict, "version 3")
	if _, err = h.DeleteDevice(ctx, &devicev1.DeleteDeviceRequest{Id: made.GetId(), ExpectedVersion: proto.Int64(3)}); err != nil {
		t.Fatal(err)
	}
	h.gone(t, made.GetId())
	h.emitted(t, "registered", "updated", "updated", "deleted")
}

// gone checks that nobody finds the device.
func (h client) gone(t *testing.T, id string) {
	t.Helper()
	ctx := as(t, caller.Admin)
	_, err := h.UpdateDevice(ctx, &devicev1.UpdateDeviceRequest{Id: id})
	refused(t, "update", err, errs.NotFound, errs.ReasonNotFound, id)
	_, err = h.DeleteDevice(ctx, &devicev1.DeleteDeviceRequest{Id: id})
	refused(t, "delete", err, errs.NotFound, errs.ReasonNotFound, id)
	_, err = h.RecordReadings(ctx, &devicev1.RecordReadingsRequest{DeviceId: id, Readings: []*devicev1.Reading{reading("k", h.clock.Now(), 1)}})
	refused(t, "record", err, errs.NotFound, errs.ReasonNotFound, id)
	if got, err := h.BatchGetDevices(ctx, &devicev1.BatchGetDevicesRequest{Ids: []string{id}}); err != nil || len(got.GetDevices()) != 0 {
		t.Errorf("get: %v, %v", got, err)
	}
	if got, err := h.BatchListEvents(ctx, &devicev1.BatchListEventsRequest{DeviceIds: []string{id}}); err != nil || len(got.GetPages()) != 0 {
		t.Errorf("events: %v, %v", got, err)
	}
}

// emitted checks the subjects of all events so far, and that each carries the version it stands for.
func (h client) emitted(t *testing.T, changes ...string) {
	t.Helper()
	events, err := h.db.PendingEvents(t.Context(), 100)
	if err != nil || len(events) != len(changes) {
		t.Fatalf("%d events, %v, want %v", len(events), err, changes)
	}
	for i, e := range events {
		var d devicev1.Device
		if err := proto.Unmarshal(e.Data, &d); err != nil {
			t.Fatal(err)
		}
		if e.Subject != "event.device."+changes[i]+"."+d.GetId() || d.GetVersion() != int64(i+1) || d.GetDeleted() != (changes[i] == "deleted") {
			t.Errorf("event %d is %s with %v", i, e.Subject, &d)
		}
	}
}

func TestRegisteringIsIdempotentUnderAKey(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), as(t, caller.Admin)
	in := &devicev1.RegisterDeviceRequest{Name: "cam", Kind: devicev1.Kind_KIND_CAMERA, Labels: map[string]string{"b": "2", "a": "1"}, IdempotencyKey: "k"}
	first, err := h.RegisterDevice(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.RegisterDevice(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "repeated", second.GetDevice(), first.GetDevice())
	if first.GetSecret() == "" || second.GetSecret() != "" {
		t.Error("the secret is reported once, the first time")
	}
	in.Name = "another"
	_, err = h.RegisterDevice(ctx, in)
	refused(t, "another input", err, errs.Aborted, errs.ReasonKeyReused, "")
	if n, err := h.CountDevices(ctx, &devicev1.CountDevicesRequest{}); err != nil || n.GetTotal() != 1 || n.GetUnknown() != 1 {
		t.Errorf("there are %v, %v", n, err)
	}
}

func TestMembersSeeVehicles(t *testing.T) {
	t.Parallel()
	h := open(t)
	car, cam := h.register(t, "car", devicev1.Kind_KIND_VEHICLE), h.register(t, "cam", devicev1.Kind_KIND_CAMERA)
	both := []string{car.GetId(), cam.GetId(), "nonsense", ids.New(ids.Trip)}
	for role, want := range map[caller.Role]int{caller.Admin: 2, caller.Operator: 2, caller.System: 2, caller.Member: 1} {
		ctx := as(t, role)
		got, err := h.BatchGetDevices(ctx, &devicev1.BatchGetDevicesRequest{Ids: append(both, both...)})
		if err != nil || len(got.GetDevices()) != want {
			t.Errorf("%s gets %v, %v", role, got, err)
		}
		all, err := h.ListDevices(ctx, &devicev1.ListDevicesRequest{Page: &typesv1.PageRequest{WithTotal: true}})
		if err != nil || len(all.GetDevices()) != want || all.GetPage().GetTotal() != int64(want) {
			t.Errorf("%s lists %v, %v", role, all, err)
		}
		cams, err := h.ListDevices(ctx, &devicev1.ListDevicesRequest{
			Filter: &devicev1.DeviceFilter{Kinds: []devicev1.Kind{devicev1.Kind_KIND_CAMERA}}, Page: &typesv1.PageRequest{WithTotal: true},
		})
		if err != nil || len(cams.GetDevices()) != want-1 || cams.GetPage().Total == nil || cams.GetPage().GetTotal() != int64(want-1) {
			t.Errorf("%s lists cameras %v, %v", role, cams, err)
		}
		counts, err := h.CountDevices(ctx, &devicev1.CountDevicesRequest{})
		if err != nil || counts.GetTotal() != int64(want) {
			t.Errorf("%s counts %v, %v", role, counts, err)
		}
		series, err := h.BatchQueryTelemetry(ctx, ask(both, 0, devicev1.Aggregate_AGGREGATE_AVG))
		if err != nil || len(series.GetSeries()) != want {
			t.Errorf("%s queries %v, %v", role, series, err)
		}
		events, err := h.BatchListEvents(ctx, &devicev1.BatchListEventsRequest{DeviceIds: both})
		if shown := len(events.GetPages()); err != nil || shown != map[bool]int{true: 0, false: 2}[role == caller.Member] {
			t.Errorf("%s is shown events %v, %v", role, events, err)
		}
	}
}

func TestOnlyThoseWhoMayWriteDo(t *testing.T) {
	t.Parallel()
	h := open(t)
	d := h.register(t, "car", devicev1.Kind_KIND_VEHICLE)
	writes := map[string]func(ctx context.Context) error{
		"register": func(ctx context.Context) error {
			_, err := h.RegisterDevice(ctx, &devicev1.RegisterDeviceRequest{Name: "x", Kind: devicev1.Kind_KIND_CAMERA})
			return err
		},
		"update": func(ctx context.Context) error {
			_, err := h.UpdateDevice(ctx, &devicev1.UpdateDeviceRequest{Id: d.GetId(), Name: proto.String("x")})
			return err
		},
		"delete": func(ctx context.Context) error {
			_, err := h.DeleteDevice(ctx, &devicev1.DeleteDeviceRequest{Id: d.GetId()})
			return err
		},
		"record": func(ctx context.Context) error {
			_, err := h.RecordReadings(ctx, &devicev1.RecordReadingsRequest{DeviceId: d.GetId(), Readings: []*devicev1.Reading{reading("k", h.clock.Now(), 1)}})
			return err
		},
		"import": func(ctx context.Context) error {
			_, err := h.ImportDevices(ctx, &devicev1.ImportDevicesRequest{Source: "s", Devices: []*devicev1.ImportedDevice{bus("a", "bus")}})
			return err
		},
	}
	scoped := caller.NewContext(t.Context(), caller.Caller{APIKeyID: "apikey_1", Role: caller.Member, Scopes: []string{caller.DeviceWrite}})
	for what, write := range writes {
		refused(t, what+" by nobody", write(t.Context()), errs.Unauthenticated, "SIGN_IN_REQUIRED", "")
		refused(t, what+" by an operator", write(as(t, caller.Operator)), errs.PermissionDenied, "SCOPE_MISSING", caller.DeviceWrite)
		refused(t, what+" by a member's key", write(scoped), errs.PermissionDenied, errs.ReasonNotAllowed, "")
	}
	operatorsKey := caller.NewContext(t.Context(), caller.Caller{APIKeyID: "apikey_1", Role: caller.Operator, Scopes: []string{caller.DeviceWrite}})
	refused(t, "import by an operator's key", writes["import"](operatorsKey), errs.PermissionDenied, errs.ReasonNotAllowed, "administrators")
	if err := writes["update"](operatorsKey); err != nil {
		t.Errorf("update by an operator's key: %v", err)
	}
}

func TestEventsTellWhatHappenedAndWho(t *testing.T) {
	t.Parallel()
	h := open(t)
	d := h.register(t, "Press 4", devicev1.Kind_KIND_SENSOR)
	key := caller.NewContext(t.Context(), caller.Caller{APIKeyID: "apikey_7", AccountID: "account_admin", Role: caller.Admin, Scopes: []string{caller.DeviceWrite, caller.DeviceRead}})
	if _, err := h.UpdateDevice(key, &devicev1.UpdateDeviceRequest{Id: d.GetId(), Name: proto.String(`"5"`), Labels: &devicev1.Labels{}}); err != nil {
		t.Fatal(err)
	}
	ask := &devicev1.BatchListEventsRequest{DeviceIds: []string{d.GetId(), d.GetId()}, Page: &typesv1.PageRequest{First: 1, WithTotal: true}}
	var reported []string
	for {
		got, err := h.BatchListEvents(key, ask)
		if err != nil || len(got.GetPages()) != 1 || got.GetPages()[0].GetPage().GetTotal() != 3 {
			t.Fatal(got, err)
		}
		for _, e := range got.GetPages()[0].GetEvents() {
			if e.GetType() == string(maintenance.Called) {
				continue // what API keys call is a test of its own
			}
			reported = append(reported, fmt.Sprint(e.GetType(), ": ", e.GetMessage(), " by ", e.GetActor(), " ", e.GetDataJson()))
		}
		if !got.GetPages()[0].GetPage().GetHasNext() {
			break
		}
		ask.Page.After = got.GetPages()[0].GetPage().GetCursors()[0]
	}
	want := []string{
		`UPDATED: renamed to "\"5\"", labels changed by apikey_7 {"version":2,"changed":["name","labels"]}`,
		`REGISTERED: registered as a sensor by account_admin {"version":1,"kind":"SENSOR"}`,
	}
	if strings.Join(reported, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(reported, "\n"), strings.Join(want, "\n"))
	}
}

func bus(externalID, name string) *devicev1.ImportedDevice {
	return &devicev1.ImportedDevice{ExternalId: externalID, Name: name, Kind: devicev1.Kind_KIND_VEHICLE}
}

func TestASourceThatOnlyNamesDevicesLeavesThemAsTheyAre(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), caller.NewContext(t.Context(), caller.OfSystem())
	in := &devicev1.ImportDevicesRequest{Source: "route 14", KeepKnown: true, Devices: []*devicev1.ImportedDevice{bus("a", "4716")}}
	first, err := h.ImportDevices(ctx, in)
	if err != nil || first.GetCreated() != 1 {
		t.Fatal(first, err)
	}
	renamed := "Bus to Petherick Road"
	mended, err := h.UpdateDevice(ctx, &devicev1.UpdateDeviceRequest{Id: first.GetDevices()[0].GetId(), Name: &renamed})
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.ImportDevices(ctx, in)
	if err != nil || again.GetCreated() != 0 {
		t.Fatal(again, err)
	}
	same(t, "what an operator has named", again.GetDevices()[0], mended)
}

func TestImportingAgainChangesOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	h, ctx := open(t), caller.NewContext(t.Context(), caller.OfSystem())
	noon := timestamppb.New(h.clock.Now().Add(-time.Hour))
	seen := bus("a", "Bus A")
	seen.Position = &typesv1.Position{Latitude: 53.4, Longitude: -2.99, At: noon}
	in := &devicev1.ImportDevicesRequest{Source: "route 14", Devices: []*devicev1.ImportedDevice{seen, bus("b", "Bus B")}}
	first, err := h.ImportDevices(ctx, in)
	if err != nil || first.GetCreated() != 2 || len(first.GetDevices()) != 2 {
		t.Fatal(first, err)
	}
	same(t, "the position", first.GetDevices()[0].GetPosition(), seen.GetPosition())
	again, err := h.ImportDevices(ctx, in)
	if err != nil || again.GetCreated() != 0 {
		t.Fatal(again, err)
	}
	same(t, "again", again.GetDevices()[0], first.GetDevices()[0])
	same(t, "again", again.GetDevices()[1], first.GetDevices()[1])

	seen.Position.At = timestamppb.New(noon.AsTime().Add(-time.Minute)) // older: not where it was last
	in.Devices = []*devicev1.ImportedDevice{bus("b", "Coach B"), seen}
	third, err := h.ImportDevices(ctx, in)
	if err != nil || third.GetCreated() != 0 || third.GetDevices()[0].GetName() != "Coach B" || third.GetDevices()[0].GetVersion() != 2 {
		t.Fatal(third, err)
	}
	same(t, "an older position", third.GetDevices()[1], first.GetDevices()[0])

	other := bus("a", "Bus A")
	other.Kind = devicev1.Kind_KIND_CAMERA
	in.Devices = []*devicev1.ImportedDevice{bus("c", "Bus C"), other}
	_, err = h.ImportDevices(ctx, in)
	refused(t, "another kind", err, errs.FailedPrecondition, registry.ReasonImportMismatch, "VEHICLE")
	if n, err := h.CountDevices(ctx, &devicev1.CountDevicesRequest{}); err != nil || n.GetTotal() != 2 {
		t.Errorf("there are %v, %v", n, err)
	}
}
