package admission

import (
	"context"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

const (
	maxRecordedRefusals = 5 // per operation
	recordTimeout       = time.Second
)

// checkAccess refuses an operation with fields that the caller may not read or write. Such fields of a query are null.
func (c *Controller) checkAccess(ctx context.Context, request *graphql.OperationContext, prepared *document.Prepared) error {
	if request.Operation.Operation == ast.Query {
		denied, err := prepared.Denied(caller.FromContext(ctx))
		if len(denied) > 0 {
			pipeline.SetDenied(request, denied)
		}
		c.logRefusal(ctx, err)
		return err
	}
	err := prepared.CheckAccess(caller.FromContext(ctx))
	c.logRefusal(ctx, err)
	if err != nil && request.Operation.Operation == ast.Mutation && caller.FromContext(ctx).APIKeyID != "" {
		c.recordRefusedCalls(ctx, request, errs.From(err))
	}
	return err
}

// logRefusal logs the refusal of a known caller.
func (c *Controller) logRefusal(ctx context.Context, err error) {
	if err != nil && caller.FromContext(ctx).Known() {
		c.security.AccessRefused(ctx, err)
	}
}

// recordRefusedCalls records that an API key without the scopes tried to act on devices. The device service records
// the calls that it receives, and never receives this one. A record that fails is dropped: the response is the same.
func (c *Controller) recordRefusedCalls(ctx context.Context, request *graphql.OperationContext, refusal *errs.Error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	recorded, methods := 0, deviceMethods()
	for _, field := range graphql.CollectFields(request, request.Operation.SelectionSet, []string{"Mutation"}) {
		method, acts := methods[field.Name]
		if !acts {
			continue
		}
		for _, id := range idsOf(c.schema, request, field) {
			if ids.Check(ids.Device, id) != nil {
				continue
			}
			if recorded == maxRecordedRefusals || c.refusals.RecordRefusal(ctx, id, method, string(refusal.Code), refusal.Reason) != nil {
				return
			}
			recorded++
		}
	}
}

func deviceMethods() map[string]string {
	return map[string]string{
		"updateDevice": "UpdateDevice", "deleteDevice": "DeleteDevice", "rotateDeviceSecret": "RotateDeviceSecret",
		"sendCommand": "SendCommand", "setDeviceConfig": "SetConfig",
		"startStream": "StartStream", "stopStream": "StopStream", "moveCamera": "MoveCamera", "takeSnapshot": "TakeSnapshot",
	}
}
