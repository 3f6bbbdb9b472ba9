package rpc_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/obs"
	wire "github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/assembly"
	"github.com/sluicehq/sluice/services/device/rpc"
	"github.com/sluicehq/sluice/services/device/store"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
)

// rowsOf returns all values of all tables as text: events, idempotency keys and everything else.
func rowsOf(t *testing.T, db *sqldb.DB) string {
	t.Helper()
	tables, err := sqldb.Select(t.Context(), db.Read(), sqldb.Text, `SELECT name FROM sqlite_master WHERE type = 'table'`)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, table := range tables {
		rows, err := db.Read().QueryContext(t.Context(), `SELECT * FROM `+table) // from the schema
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			for i, value := range values {
				fmt.Fprintf(&all, "%s.%s %s\n", table, columns[i], value)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// What a command carries is sealed in all rows, is in no event, and is shown to callers with its scope only. What the
// device repeats of a signed address is masked.
func TestSecretsOfCommandsStayInside(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	db := sqltest.OpenSQLite(t, store.Migrations())
	service := assembly.New(store.New(db, rpc.Encoding()), clock.System{}, assembly.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	options := wire.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Tracing: obs.NoTracing()}
	conn := wire.Within(wire.NewChannel(options, func(r grpc.ServiceRegistrar) { rpc.Register(r, service) }), options)
	h := client{DevicesClient: devicev1.NewDevicesClient(conn), db: db}
	operator := as(t, caller.Operator)
	camera, lamp := h.register(t, "gate", devicev1.Kind_KIND_CAMERA), h.register(t, "lamp", devicev1.Kind_KIND_SENSOR)

	const password, signature, stream = "hunter2-of-the-lamp", "c2lnbmF0dXJlLW9mLXRoZS11cGxvYWQ", "rtsp://viewer:swordfish@10.0.0.7/live"
	later := time.Now().Add(time.Hour)
	commands := devicev1.NewCommandsClient(conn)
	sent, err := commands.SendCommand(operator, &devicev1.SendCommandRequest{
		DeviceId: lamp.GetId(), Name: "join", ArgumentsJson: `{"password":"` + password + `"}`, IdempotencyKey: "once", TimeoutSeconds: 60,
	})
	if err != nil || !strings.Contains(sent.GetArgumentsJson(), password) {
		t.Fatalf("%v, %v", sent, err)
	}
	again, err := commands.SendCommand(operator, &devicev1.SendCommandRequest{
		DeviceId: lamp.GetId(), Name: "join", ArgumentsJson: `{"password":"` + password + `"}`, IdempotencyKey: "once", TimeoutSeconds: 60,
	})
	if err != nil || again.GetId() != sent.GetId() || again.GetArgumentsJson() != sent.GetArgumentsJson() {
		t.Fatalf("%v, %v", again, err)
	}
	id := ids.New(ids.Command)
	address := "http://sluice.test/images?expiry=1&signature=" + signature
	snapshot, err := devicev1.NewCamerasClient(conn).TakeSnapshot(operator, &devicev1.TakeSnapshotRequest{
		DeviceId: camera.GetId(), CommandId: id, UploadJson: `{"image":"k","upload":{"url":"` + address + `"}}`,
	})
	if err != nil || snapshot.GetId() != id || strings.Contains(snapshot.GetArgumentsJson(), signature) {
		t.Fatalf("%v, %v", snapshot, err)
	}
	if _, err := devicev1.NewCamerasClient(conn).StartStream(operator, &devicev1.StreamRequest{DeviceId: camera.GetId()}); err != nil {
		t.Fatal(err)
	}
	started := h.commandNamed(t, commands, camera.GetId(), "startStream")
	say := func(topic device.UpTopic, deviceID, payload string) {
		t.Helper()
		if err := service.Uplink.Handle(t.Context(), device.UpMessage{DeviceID: deviceID, Topic: topic, Payload: []byte(payload), ArrivedAt: later}); err != nil {
			t.Fatal(err)
		}
	}
	say(device.UpCommandResult, camera.GetId(), `{"id":"`+started+`","ok":true,"result":{"url":"`+stream+`"}}`)
	say(device.UpCommandLog, camera.GetId(), `{"id":"`+id+`","text":"PUT `+address+`"}`)
	say(device.UpCommandResult, camera.GetId(), `{"id":"`+id+`","ok":false,"error":"403 for `+address+`"}`)

	all := rowsOf(t, db)
	for _, secret := range []string{password, signature, stream} {
		for _, line := range strings.Split(all, "\n") {
			if strings.Contains(line, secret) {
				t.Errorf("%s is in %.200s", secret, line)
			}
		}
		if strings.Contains(log.String(), secret) {
			t.Errorf("%s is in the log", secret)
		}
	}
	reader := caller.NewContext(t.Context(), caller.Caller{AccountID: "account_x", APIKeyID: "k", Role: caller.Operator, Scopes: []string{caller.DeviceRead}})
	viewer := caller.NewContext(t.Context(), caller.Caller{AccountID: "account_x", APIKeyID: "k", Role: caller.Operator, Scopes: []string{caller.DeviceRead, caller.CameraView}})
	for _, wanted := range []string{sent.GetId(), id, started} {
		got := h.commandOf(t, commands.BatchGetCommands, reader, wanted)
		if got.GetArgumentsJson()+got.GetResultJson() != "" || strings.Contains(got.GetError(), signature) {
			t.Errorf("a reader sees %v", got)
		}
	}
	if got := h.commandOf(t, commands.BatchGetCommands, viewer, started); !strings.Contains(got.GetResultJson(), stream) {
		t.Errorf("a viewer sees %v", got)
	}
}

type getCommands func(ctx context.Context, in *devicev1.BatchGetCommandsRequest, options ...grpc.CallOption) (*devicev1.BatchGetCommandsResponse, error)

func (h client) commandOf(t *testing.T, get getCommands, ctx context.Context, id string) *devicev1.Command {
	t.Helper()
	found, err := get(ctx, &devicev1.BatchGetCommandsRequest{Ids: []string{id}})
	if err != nil || len(found.GetCommands()) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	return found.GetCommands()[0]
}

func (h client) commandNamed(t *testing.T, commands devicev1.CommandsClient, deviceID, name string) string {
	t.Helper()
	pages, err := commands.BatchListCommands(as(t, caller.Operator), &devicev1.BatchListCommandsRequest{DeviceIds: []string{deviceID}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range pages.GetPages()[0].GetCommands() {
		if c.GetName() == name {
			return c.GetId()
		}
	}
	t.Fatalf("there is no command %s", name)
	return ""
}
