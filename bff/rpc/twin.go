package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff"
	devicev1 "github.com/sluicehq/sluice/services/gen/device/v1"
)

// twins calls the device service for configurations.
type twins struct{ client devicev1.TwinsClient }

func newTwins(conn grpc.ClientConnInterface) twins {
	return twins{client: devicev1.NewTwinsClient(conn)}
}

// SetDeviceConfig implements bff.Twins.
func (t twins) SetDeviceConfig(ctx context.Context, deviceID string, desired bff.JSON, expectedVersion *int) (*bff.DeviceConfig, error) {
	return one(deviceConfig)(t.client.SetConfig(ctx, &devicev1.SetConfigRequest{
		DeviceId: deviceID, DesiredJson: string(desired), ExpectedVersion: version(expectedVersion),
	}))
}

// GetDeviceConfigs implements bff.Twins.
func (t twins) GetDeviceConfigs(ctx context.Context, deviceIDs []string) (map[string]*bff.DeviceConfig, error) {
	m, err := t.client.BatchGetConfigs(ctx, &devicev1.BatchGetConfigsRequest{DeviceIds: deviceIDs})
	if err != nil {
		return nil, err
	}
	configs := make(map[string]*bff.DeviceConfig, len(m.GetConfigs()))
	for _, c := range m.GetConfigs() {
		configs[c.GetDeviceId()] = deviceConfig(c)
	}
	return configs, nil
}

// ListConfigVersions implements bff.Twins.
func (t twins) ListConfigVersions(ctx context.Context, deviceIDs []string, request bff.PageRequest) (map[string]bff.Page[bff.DeviceConfigVersion], error) {
	m, err := t.client.BatchListConfigVersions(ctx, &devicev1.BatchListConfigVersionsRequest{DeviceIds: deviceIDs, Page: pageRequest(request)})
	if err != nil {
		return nil, err
	}
	pages := make(map[string]bff.Page[bff.DeviceConfigVersion], len(m.GetPages()))
	for _, p := range m.GetPages() {
		pages[p.GetDeviceId()] = page(p.GetVersions(), p.GetPage(), configVersion)
	}
	return pages, nil
}

// SetDeviceConfigSchema sets the schema that validates desired configurations of a kind; null removes it.
func (t twins) SetDeviceConfigSchema(ctx context.Context, kind bff.DeviceKind, schema bff.JSON) (*bff.DeviceConfigSchema, error) {
	request := &devicev1.ConfigSchema{Kind: enumValue[devicev1.Kind](devicev1.Kind_value, "KIND_", string(kind))}
	if named(schema) {
		request.SchemaJson = string(schema)
	}
	return one(configSchema)(t.client.SetConfigSchema(ctx, request))
}

// ListDeviceConfigSchemas implements bff.Twins.
func (t twins) ListDeviceConfigSchemas(ctx context.Context) ([]*bff.DeviceConfigSchema, error) {
	m, err := t.client.ListConfigSchemas(ctx, &devicev1.ListConfigSchemasRequest{})
	if err != nil {
		return nil, err
	}
	return each(m.GetSchemas(), configSchema), nil
}

func deviceConfig(m *devicev1.Config) *bff.DeviceConfig {
	c := &bff.DeviceConfig{
		DeviceID: m.GetDeviceId(), Desired: bff.JSON(m.GetDesiredJson()), DesiredVersion: int(m.GetDesiredVersion()),
		DesiredAt: optionalTime(m.GetDesiredAt()), Reported: optionalJSON(m.GetReportedJson()),
		ReportedAt: optionalTime(m.GetReportedAt()), InSync: m.GetInSync(),
	}
	if m.ReportedVersion != nil {
		reported := int(m.GetReportedVersion())
		c.ReportedVersion = &reported
	}
	return c
}

func configVersion(m *devicev1.ConfigVersion) *bff.DeviceConfigVersion {
	return &bff.DeviceConfigVersion{
		Version: int(m.GetVersion()), Desired: bff.JSON(m.GetDesiredJson()), At: m.GetAt().AsTime(), Actor: m.GetActor(),
	}
}

func configSchema(m *devicev1.ConfigSchema) *bff.DeviceConfigSchema {
	return &bff.DeviceConfigSchema{
		Kind: enum[bff.DeviceKind](m.GetKind().String(), "KIND_"), Schema: optionalJSON(m.GetSchemaJson()),
		UpdatedAt: m.GetUpdatedAt().AsTime(), Actor: m.GetActor(),
	}
}
