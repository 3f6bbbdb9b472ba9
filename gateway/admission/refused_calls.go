package pipeline

import (
	"context"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

const (
	maxRefusalsKept = 5 // an operation
	keepRefusalTime = time.Second
)

// keepRefused has it kept that an API key was refused what its scopes do not allow, where it was to act on
// devices: services keep the calls that they see, and never see this one. What cannot be kept is left: the
// answer is the same.
func (o *operation) keepRefused(ctx context.Context, request *graphql.OperationContext, err error) {
	if request.Operation.Operation != ast.Mutation || caller.FromContext(ctx).APIKeyID == "" || o.ports.Devices == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, keepRefusalTime)
	defer cancel()
	refusal := errs.From(err)
	for i, call := range deviceCalls(o.documents.schema, request) {
		if i == maxRefusalsKept || o.ports.Devices.KeepRefusal(ctx, call.deviceID, call.name, string(refusal.Code), refusal.Reason) != nil {
			return
		}
	}
}

// deviceCall is what a mutation would have the device service do with a device.
type deviceCall struct{ deviceID, name string }

func deviceCalls(schema *ast.Schema, request *graphql.OperationContext) []deviceCall {
	var found []deviceCall
	names := callNames()
	for _, field := range graphql.CollectFields(request, request.Operation.SelectionSet, []string{"Mutation"}) {
		name, acts := names[field.Name]
		if !acts {
			continue
		}
		arguments := field.ArgumentMap(request.Variables)
		for _, argument := range field.Definition.Arguments {
			for _, id := range idsIn(schema, argument.Type, arguments[argument.Name]) {
				if ids.Check(ids.Device, id) == nil {
					found = append(found, deviceCall{deviceID: id, name: name})
				}
			}
		}
	}
	return found
}

// callNames are the mutations that act on a device, and what the device service calls them.
func callNames() map[string]string {
	return map[string]string{
		"updateDevice": "UpdateDevice", "deleteDevice": "DeleteDevice", "rotateDeviceSecret": "RotateDeviceSecret",
		"sendCommand": "SendCommand", "setDeviceConfig": "SetConfig",
		"startStream": "StartStream", "stopStream": "StopStream", "moveCamera": "MoveCamera", "takeSnapshot": "TakeSnapshot",
	}
}
