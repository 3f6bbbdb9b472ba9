package rpc_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/obs"
	wire "github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/camera"
	"github.com/sluicehq/sluice/services/device/rpc"
	"github.com/sluicehq/sluice/services/device/store"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
)

// counter is the whole service behind one channel, traced.
func counter(t *testing.T) grpc.ClientConnInterface {
	t.Helper()
	service := assembly.New(store.New(sqltest.OpenSQLite(t, store.Migrations()), rpc.Encoding()), clock.System{}, assembly.Options{})
	options := wire.Options{Logger: slog.New(slog.DiscardHandler), Tracing: obs.NewTracingTo(tracetest.NewSpanRecorder(), 1)}
	return wire.Within(wire.NewChannel(options, func(r grpc.ServiceRegistrar) { rpc.Register(r, service) }), options)
}

func TestWhatAnAPIKeyCallsIsKept(t *testing.T) {
	t.Parallel()
	conn := counter(t)
	devices, cameras, twins, ledger := devicev1.NewDevicesClient(conn), devicev1.NewCamerasClient(conn), devicev1.NewTwinsClient(conn), devicev1.NewCallsClient(conn)
	made, err := devices.RegisterDevice(as(t, caller.Admin), &devicev1.RegisterDeviceRequest{Name: "c", Kind: devicev1.Kind_KIND_CAMERA})
	if err != nil {
		t.Fatal(err)
	}
	id, keyID := made.GetDevice().GetId(), ids.New(ids.APIKey)
	key := caller.NewContext(t.Context(), caller.Caller{AccountID: "account_1", APIKeyID: keyID, Role: caller.Operator, Scopes: []string{caller.DeviceRead, caller.CameraView}})
	if _, err := cameras.StartStream(key, &devicev1.StreamRequest{DeviceId: id}); err != nil {
		t.Fatal(err)
	}
	_, _ = twins.SetConfig(key, &devicev1.SetConfigRequest{DeviceId: id, DesiredJson: "{}"})
	_, _ = devices.DeleteDevice(key, &devicev1.DeleteDeviceRequest{Id: id})
	_, _ = cameras.StartStream(key, &devicev1.StreamRequest{DeviceId: "no id"})
	if _, err := devices.BatchGetDevices(key, &devicev1.BatchGetDevicesRequest{Ids: []string{id}}); err != nil {
		t.Fatal(err)
	}
	if _, err := twins.SetConfig(as(t, caller.Operator), &devicev1.SetConfigRequest{DeviceId: id, DesiredJson: "{}"}); err != nil {
		t.Fatal(err)
	}

	got, err := ledger.ListCalls(as(t, caller.Admin), &devicev1.ListCallsRequest{ApiKeyId: keyID})
	if err != nil {
		t.Fatal(err)
	}
	var recordCall []string
	for _, c := range got.GetCalls() {
		if c.GetDeviceId() != id || c.GetAccountId() != "account_1" || len(c.GetTraceId()) != 32 || c.GetAt() == nil || c.GetTookMicros() <= 0 {
			t.Errorf("kept %v", c)
		}
		recordCall = append(recordCall, c.GetName()+" "+c.GetOutcome()+" "+c.GetReason())
	}
	want := []string{"DeleteDevice PERMISSION_DENIED SCOPE_MISSING", "SetConfig PERMISSION_DENIED SCOPE_MISSING", "StartStream OK "}
	if !slices.Equal(recordCall, want) {
		t.Errorf("kept %q, want %q", recordCall, want)
	}
	events, err := devices.BatchListEvents(as(t, caller.Operator), &devicev1.BatchListEventsRequest{DeviceIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	noted := 0
	for _, e := range events.GetPages()[0].GetEvents() {
		if e.GetType() == "CALLED" && e.GetActor() == keyID {
			noted++
		}
	}
	if noted != 3 {
		t.Errorf("%d calls among the events %v", noted, events)
	}
	for _, ctx := range []context.Context{as(t, caller.Operator), key} {
		if _, err := ledger.ListCalls(ctx, &devicev1.ListCallsRequest{}); errs.From(err) == nil || errs.From(err).Code != errs.PermissionDenied {
			t.Errorf("others list calls: %v", err)
		}
	}
}

// Where requests are not traced, their id tells them apart.
func TestACallThatIsNotTracedIsKeptWithItsRequest(t *testing.T) {
	t.Parallel()
	h := open(t)
	camera, keyID := h.register(t, "c", devicev1.Kind_KIND_CAMERA), ids.New(ids.APIKey)
	who := caller.Caller{AccountID: "account_1", APIKeyID: keyID, Role: caller.Admin, Scopes: caller.ScopesOf(caller.Admin)}
	ctx := obs.WithRequestID(caller.NewContext(t.Context(), who), "request-7")
	name := "d"
	if _, err := h.UpdateDevice(ctx, &devicev1.UpdateDeviceRequest{Id: camera.GetId(), Name: &name}); err != nil {
		t.Fatal(err)
	}
	got, err := h.calls.ListCalls(as(t, caller.Admin), &devicev1.ListCallsRequest{ApiKeyId: keyID})
	if err != nil || len(got.GetCalls()) != 1 || got.GetCalls()[0].GetTraceId() != "request-7" {
		t.Errorf("kept %v, %v", got.GetCalls(), err)
	}
}

// A key that loops fills the ledger, and not the events of the device; each of its calls is there.
func TestEveryCallOfALoopIsKept(t *testing.T) {
	t.Parallel()
	conn := counter(t)
	devices, cameras, ledger := devicev1.NewDevicesClient(conn), devicev1.NewCamerasClient(conn), devicev1.NewCallsClient(conn)
	made, err := devices.RegisterDevice(as(t, caller.Admin), &devicev1.RegisterDeviceRequest{Name: "c", Kind: devicev1.Kind_KIND_CAMERA})
	if err != nil {
		t.Fatal(err)
	}
	id := made.GetDevice().GetId()
	key := caller.NewContext(t.Context(), caller.Caller{AccountID: "a", APIKeyID: ids.New(ids.APIKey), Role: caller.Operator, Scopes: []string{caller.CameraView}})
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for range 30 {
				_, err := cameras.StartStream(key, &devicev1.StreamRequest{DeviceId: id})
				if err != nil && errs.From(err).Reason != camera.ReasonStreamFlapping {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	total := func(outcome string) int64 {
		in := &devicev1.ListCallsRequest{DeviceId: id, Outcome: outcome, Page: &typesv1.PageRequest{First: 1, WithTotal: true}}
		got, err := ledger.ListCalls(as(t, caller.Admin), in)
		if err != nil {
			t.Fatal(err)
		}
		return got.GetPage().GetTotal()
	}
	if all, ok, refused := total(""), total("OK"), total("RESOURCE_EXHAUSTED"); all != 300 || ok+refused != 300 || ok < 20 || ok > 100 {
		t.Errorf("kept %d calls, of them %d OK and %d refused", all, ok, refused)
	}
	events, err := devices.BatchListEvents(as(t, caller.Operator), &devicev1.BatchListEventsRequest{DeviceIds: []string{id}, Page: &typesv1.PageRequest{First: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(events)
	if n := strings.Count(text, `"CALLED"`); n > 2*30 {
		t.Errorf("%d of them are among the events", n)
	}
}
