package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/services/device/twin"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
	types "github.com/sluicehq/sluice/services/types/rpc"
)

type twins struct {
	devicev1.UnimplementedTwinsServer
	service *twin.Service
}

func (s twins) SetConfig(ctx context.Context, in *devicev1.SetConfigRequest) (*devicev1.Config, error) {
	c, err := s.service.Set(ctx, twin.SetInput{
		DeviceID: in.GetDeviceId(), Desired: in.GetDesiredJson(), ExpectedVersion: in.ExpectedVersion,
	})
	return types.Reply(c, err, configMessage)
}

func (s twins) BatchGetConfigs(ctx context.Context, in *devicev1.BatchGetConfigsRequest) (*devicev1.BatchGetConfigsResponse, error) {
	configs, err := s.service.BatchGet(ctx, in.GetDeviceIds())
	if err != nil {
		return nil, err
	}
	return &devicev1.BatchGetConfigsResponse{Configs: types.Each(configs, configMessage)}, nil
}

func (s twins) BatchListConfigVersions(ctx context.Context, in *devicev1.BatchListConfigVersionsRequest) (*devicev1.BatchListConfigVersionsResponse, error) {
	pages, err := s.service.BatchListVersions(ctx, in.GetDeviceIds(), types.PageRequest(in.GetPage()))
	if err != nil {
		return nil, err
	}
	out := &devicev1.BatchListConfigVersionsResponse{Pages: make([]*devicev1.ConfigVersionPage, len(pages))}
	for i, p := range pages {
		out.Pages[i] = &devicev1.ConfigVersionPage{DeviceId: p.DeviceID, Versions: types.Each(p.Items, versionMessage), Page: types.PageInfo(p.Page)}
	}
	return out, nil
}

func (s twins) SetConfigSchema(ctx context.Context, in *devicev1.ConfigSchema) (*devicev1.ConfigSchema, error) {
	set, err := s.service.SetSchema(ctx, kindOf(in.GetKind()), in.GetSchemaJson())
	return types.Reply(set, err, schemaMessage)
}

func (s twins) ListConfigSchemas(ctx context.Context, _ *devicev1.ListConfigSchemasRequest) (*devicev1.ListConfigSchemasResponse, error) {
	schemas, err := s.service.Schemas(ctx)
	if err != nil {
		return nil, err
	}
	return &devicev1.ListConfigSchemasResponse{Schemas: types.Each(schemas, schemaMessage)}, nil
}

func configMessage(c twin.Config) *devicev1.Config {
	return &devicev1.Config{
		DeviceId: c.DeviceID, DesiredJson: c.Desired, DesiredVersion: c.DesiredVersion, DesiredAt: types.Timestamp(c.DesiredAt),
		ReportedJson: c.Reported, ReportedVersion: c.ReportedVersion, ReportedAt: types.Timestamp(c.ReportedAt), InSync: c.InSync(),
	}
}

func versionMessage(v twin.Version) *devicev1.ConfigVersion {
	return &devicev1.ConfigVersion{Version: v.Version, DesiredJson: v.Desired, At: timestamppb.New(v.At), Actor: v.Actor}
}

func schemaMessage(s twin.Schema) *devicev1.ConfigSchema {
	return &devicev1.ConfigSchema{Kind: kindMessage(s.Kind), SchemaJson: s.Text, UpdatedAt: timestamppb.New(s.UpdatedAt), Actor: s.Actor}
}
