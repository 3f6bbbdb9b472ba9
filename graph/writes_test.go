package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/plantest"
)

// writable are ports whose writes are recorded in the context's world and do not reach the services: both
// executors start every document with equal stores, and create the same ids. A write returns an entity that
// the caller can read, with the number of writes in its name.
func writable(p bff.Ports) bff.Ports {
	return bff.Ports{
		Accounts: writableAccounts{p.Accounts}, Devices: writableDevices{p.Devices}, Trips: writableTrips{p.Trips},
		Jobs: writableJobs{p.Jobs}, Activities: writableActivities{p.Activities},
	}
}

type (
	writableAccounts   struct{ bff.Accounts }
	writableDevices    struct{ bff.Devices }
	writableTrips      struct{ bff.Trips }
	writableJobs       struct{ bff.Jobs }
	writableActivities struct{ bff.Activities }
)

// recordWrite records a write, and returns the result of read unless a fault of the world replaces it.
func recordWrite[V any](ctx context.Context, method string, input any, read func(suffix string) (V, error)) (V, error) {
	w := worldOf(ctx)
	text, _ := json.Marshal(input)
	w.Write(method + " " + string(text))
	return attempt(ctx, []any{method}, func() (V, error) { return read(fmt.Sprint(" after ", len(w.Calls()))) })
}

// firstOf returns a copy of the entity with the id, else of the first entity of a list.
func firstOf[V any](found []*V, err error) (*V, error) {
	if err != nil || len(found) == 0 {
		return nil, err
	}
	v := *found[0]
	return &v, nil
}

func items[V any](page bff.Page[V], err error) ([]*V, error) { return page.Items, err }

func (f writableAccounts) account(ctx context.Context, suffix string) (*bff.Account, error) {
	account, err := firstOf(f.Accounts.GetAccounts(ctx, []string{caller.FromContext(ctx).AccountID}))
	if account != nil {
		account.Name += suffix
	}
	return account, err
}

func (f writableAccounts) session(ctx context.Context, method string, input any) (*bff.Session, error) {
	return recordWrite(ctx, method, input, func(suffix string) (*bff.Session, error) {
		account, err := f.account(ctx, suffix)
		return &bff.Session{AccessToken: "access" + suffix, RefreshToken: "refresh", Account: account}, err
	})
}

func (f writableAccounts) Login(ctx context.Context, input bff.LoginInput) (*bff.Session, error) {
	return f.session(ctx, "login", input)
}

func (f writableAccounts) RefreshSession(ctx context.Context, token string) (*bff.Session, error) {
	return f.session(ctx, "refreshSession", token)
}

func (f writableAccounts) Logout(ctx context.Context) error {
	_, err := recordWrite(ctx, "logout", nil, func(string) (any, error) { return nil, nil })
	return err
}

func (f writableAccounts) key(ctx context.Context, method string, input any) (*bff.ApiKey, error) {
	return recordWrite(ctx, method, input, func(suffix string) (*bff.ApiKey, error) {
		key, err := firstOf(f.Accounts.ListAPIKeys(ctx))
		if key != nil {
			key.Name += suffix
		}
		return key, err
	})
}

func (f writableAccounts) CreateAPIKey(ctx context.Context, input bff.CreateApiKeyInput) (*bff.CreatedApiKey, error) {
	key, err := f.key(ctx, "createApiKey", input)
	return &bff.CreatedApiKey{APIKey: key}, err
}

func (f writableAccounts) RotateAPIKey(ctx context.Context, id string, idempotencyKey *string) (*bff.CreatedApiKey, error) {
	key, err := f.key(ctx, "rotateApiKey", id)
	return &bff.CreatedApiKey{APIKey: key}, err
}

func (f writableAccounts) RevokeAPIKey(ctx context.Context, id string) (*bff.ApiKey, error) {
	return f.key(ctx, "revokeApiKey", id)
}

func (f writableDevices) device(ctx context.Context, method string, input any) (*bff.Device, error) {
	return recordWrite(ctx, method, input, func(suffix string) (*bff.Device, error) {
		device, err := firstOf(items(f.Devices.ListDevices(ctx, nil, bff.DeviceOrder(""), bff.PageRequest{First: 1})))
		if device != nil {
			device.Name += suffix
		}
		return device, err
	})
}

func (f writableDevices) RegisterDevice(ctx context.Context, input bff.RegisterDeviceInput) (*bff.RegisteredDevice, error) {
	device, err := f.device(ctx, "registerDevice", input)
	return &bff.RegisteredDevice{Device: device}, err
}

func (f writableDevices) RotateDeviceSecret(ctx context.Context, id string) (*bff.RegisteredDevice, error) {
	device, err := f.device(ctx, "rotateDeviceSecret", id)
	return &bff.RegisteredDevice{Device: device}, err
}

func (f writableDevices) UpdateDevice(ctx context.Context, input bff.UpdateDeviceInput) (*bff.Device, error) {
	return f.device(ctx, "updateDevice", input)
}

func (f writableDevices) DeleteDevice(ctx context.Context, id string, _ *int) error {
	_, err := f.device(ctx, "deleteDevice", id)
	return err
}

func (f writableDevices) command(ctx context.Context, method string, input any) (*bff.Command, error) {
	return recordWrite(ctx, method, input, func(suffix string) (*bff.Command, error) {
		device, err := firstOf(items(f.Devices.ListDevices(ctx, nil, bff.DeviceOrder(""), bff.PageRequest{First: 1})))
		if device == nil {
			return nil, err
		}
		return &bff.Command{ID: "command_01jd2k0f3qe8x9w5t7v6m4n2p0", DeviceID: device.ID, Name: method + suffix, Arguments: bff.JSON("{}"), Status: "QUEUED"}, nil
	})
}

// RecordRefusal stores no refused call: both executors read one store, at different times.
func (f writableDevices) RecordRefusal(context.Context, string, string, string, string) error {
	return nil
}

func (f writableDevices) SendCommand(ctx context.Context, input bff.SendCommandInput) (*bff.Command, error) {
	return f.command(ctx, "sendCommand", input)
}

func (f writableDevices) CancelCommand(ctx context.Context, id string) (*bff.Command, error) {
	return f.command(ctx, "cancelCommand", id)
}

func (f writableDevices) MoveCamera(ctx context.Context, input bff.MoveCameraInput) (*bff.Command, error) {
	return f.command(ctx, "moveCamera", input)
}

func (f writableDevices) TakeSnapshot(ctx context.Context, id string, _ *bff.SnapshotUpload) (*bff.Command, error) {
	return f.command(ctx, "takeSnapshot", id)
}

func (f writableDevices) SetDeviceConfig(ctx context.Context, id string, desired bff.JSON, _ *int) (*bff.DeviceConfig, error) {
	return recordWrite(ctx, "setDeviceConfig", []any{id, desired}, func(string) (*bff.DeviceConfig, error) {
		return &bff.DeviceConfig{DeviceID: id, Desired: desired}, nil
	})
}

func (f writableDevices) SetDeviceConfigSchema(ctx context.Context, kind bff.DeviceKind, schema bff.JSON) (*bff.DeviceConfigSchema, error) {
	return recordWrite(ctx, "setDeviceConfigSchema", []any{kind, schema}, func(suffix string) (*bff.DeviceConfigSchema, error) {
		return &bff.DeviceConfigSchema{Kind: kind, Schema: schema, Actor: suffix}, nil
	})
}

func (f writableDevices) stream(ctx context.Context, method string, input any, id string) (*bff.StreamSession, error) {
	return recordWrite(ctx, method, input, func(string) (*bff.StreamSession, error) { return &bff.StreamSession{DeviceID: id, State: "LIVE"}, nil })
}

func (f writableDevices) StartStream(ctx context.Context, input bff.StreamInput) (*bff.StreamSession, error) {
	return f.stream(ctx, "startStream", input, input.DeviceID)
}

func (f writableDevices) StopStream(ctx context.Context, id string, viewer *string) (*bff.StreamSession, error) {
	return f.stream(ctx, "stopStream", []any{id, viewer}, id)
}

func (f writableTrips) trip(ctx context.Context, method string, input any) (*bff.Trip, error) {
	return recordWrite(ctx, method, input, func(string) (*bff.Trip, error) {
		return firstOf(items(f.Trips.ListTrips(ctx, nil, bff.PageRequest{First: 1})))
	})
}

func (f writableTrips) StartTrip(ctx context.Context, input bff.StartTripInput) (*bff.Trip, error) {
	return f.trip(ctx, "startTrip", input)
}

func (f writableTrips) ReportPosition(ctx context.Context, id string, position bff.PositionInput) (*bff.Trip, error) {
	return f.trip(ctx, "reportPosition", []any{id, position})
}

func (f writableTrips) EndTrip(ctx context.Context, id string, position *bff.PositionInput, _ *int) (*bff.Trip, error) {
	return f.trip(ctx, "endTrip", []any{id, position})
}

func (f writableJobs) job(ctx context.Context, method string, input any) (*bff.Job, error) {
	return recordWrite(ctx, method, input, func(suffix string) (*bff.Job, error) {
		job, err := firstOf(items(f.Jobs.ListJobs(ctx, nil, bff.PageRequest{First: 1})))
		if job != nil {
			job.Name += suffix
		}
		return job, err
	})
}

func (f writableJobs) CreateJob(ctx context.Context, input bff.CreateJobInput) (*bff.Job, error) {
	return f.job(ctx, "createJob", input)
}

func (f writableJobs) UpdateJob(ctx context.Context, input bff.UpdateJobInput) (*bff.Job, error) {
	return f.job(ctx, "updateJob", input)
}

func (f writableJobs) CancelJob(ctx context.Context, id string, _ *int) (*bff.Job, error) {
	return f.job(ctx, "cancelJob", id)
}

func (f writableJobs) RetryJob(ctx context.Context, id string, _ *int) (*bff.Job, error) {
	return f.job(ctx, "retryJob", id)
}

func (f writableJobs) DeleteJob(ctx context.Context, id string, _ *int) error {
	_, err := f.job(ctx, "deleteJob", id)
	return err
}

func (f writableActivities) RecordActivity(ctx context.Context, input bff.RecordActivityInput) (*bff.Activity, error) {
	return f.activity(ctx, "recordActivity", input)
}

func (f writableActivities) UpdateActivity(ctx context.Context, input bff.UpdateActivityInput) (*bff.Activity, error) {
	return f.activity(ctx, "updateActivity", input)
}

func (f writableActivities) DeleteActivity(ctx context.Context, id string, _ *int) error {
	_, err := f.activity(ctx, "deleteActivity", id)
	return err
}

func (f writableActivities) activity(ctx context.Context, method string, input any) (*bff.Activity, error) {
	return recordWrite(ctx, method, input, func(suffix string) (*bff.Activity, error) {
		activity, err := firstOf(items(f.Activities.ListActivities(ctx, nil, bff.PageRequest{First: 1})))
		if activity != nil {
			activity.Title += suffix
		}
		return activity, err
	})
}

// recordCall records a call to a service in the context's world: one read for each key of a batch, so that
// batches of any size compare equal. Verified credentials are cached, so their calls are not recorded.
func recordCall(ctx context.Context, method string, request any) {
	w, ok := ctx.Value(worldKey{}).(*plantest.World)
	message, isProto := request.(proto.Message)
	if !ok || !isProto || strings.Contains(method, "VerifyApiKey") || strings.Contains(method, "GetKeySet") || strings.Contains(method, "CheckSessions") {
		return
	}
	single := proto.Clone(message).ProtoReflect()
	keys := single.Descriptor().Fields()
	for i := range keys.Len() {
		field := keys.Get(i)
		if !field.IsList() || field.Kind() != protoreflect.StringKind || !strings.HasSuffix(string(field.Name()), "ids") {
			continue
		}
		ids := message.ProtoReflect().Get(field).List()
		single.Clear(field)
		rest := encodeCall(single)
		for i := range ids.Len() {
			w.Read(method + " " + ids.Get(i).String() + " " + rest)
		}
		return
	}
	w.Read(method + " " + encodeCall(single))
}

func encodeCall(m protoreflect.Message) string {
	text, _ := protojson.Marshal(m.Interface())
	return string(slices.DeleteFunc(text, func(c byte) bool { return c == ' ' }))
}
