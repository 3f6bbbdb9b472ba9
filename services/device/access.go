package device

import (
	"context"
	"slices"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
)

// Reader is the part of a store that reads devices.
type Reader interface {
	// Get returns the existing devices, in any order.
	Get(ctx context.Context, ids []string) ([]Device, error)
}

// Sees reports whether the device exists for the caller.
func Sees(who caller.Caller, d Device) bool {
	return entity.Device.Sees(who, d.Facts())
}

// Visible returns the existing devices that the caller may see, in the state that the caller sees.
func Visible(ctx context.Context, store Reader, who caller.Caller, field string, deviceIDs []string) ([]Device, error) {
	deviceIDs, err := KnownIDs(field, deviceIDs)
	if err != nil || len(deviceIDs) == 0 {
		return nil, err
	}
	devices, err := store.Get(ctx, deviceIDs)
	if err != nil {
		return nil, err
	}
	devices = slices.DeleteFunc(devices, func(d Device) bool { return !Sees(who, d) })
	for i, d := range devices {
		devices[i] = d.SeenBy(who)
	}
	return devices, nil
}

// Within refuses a device that does not exist for a limited caller, so that no lock or rule takes longer for a device
// that exists. For other callers the store finds whether the device exists.
func Within(ctx context.Context, store Reader, who caller.Caller, id string) error {
	if len(who.DeviceLabels) == 0 {
		return nil
	}
	found, err := Visible(ctx, store, who, "deviceId", []string{id})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return Missing(id)
	}
	return nil
}

// IDsOf returns the ids of the devices.
func IDsOf(devices []Device) []string {
	all := make([]string, len(devices))
	for i, d := range devices {
		all[i] = d.ID
	}
	return all
}

// MayWrite returns the caller if it may change devices. Members may not, whatever the scopes of their keys.
func MayWrite(ctx context.Context) (caller.Caller, error) {
	return staff(ctx, caller.DeviceWrite, "only staff changes devices")
}

// MayCommand returns the caller if it may send commands: staff, and keys of staff with the scope.
func MayCommand(ctx context.Context) (caller.Caller, error) {
	return staff(ctx, caller.DeviceCommand, "only staff sends commands")
}

// MayOperate returns the caller if it is staff and has the scope.
func MayOperate(ctx context.Context, scope string) (caller.Caller, error) {
	return staff(ctx, scope, "only staff operates devices")
}

func staff(ctx context.Context, scope, refusal string) (caller.Caller, error) {
	who, err := caller.Require(ctx, scope)
	if err != nil {
		return caller.Caller{}, err
	}
	if !who.Staff() {
		return caller.Caller{}, errs.Denied("%s", refusal)
	}
	return who, nil
}

// VisibleToStaff returns the existing devices that the caller may see, if it is staff.
func VisibleToStaff(ctx context.Context, store Reader, deviceIDs []string) ([]Device, error) {
	who, err := caller.Require(ctx, caller.DeviceRead)
	if err != nil {
		return nil, err
	}
	if !entity.Command.Visibility(who).All {
		return nil, nil
	}
	return Visible(ctx, store, who, "deviceIds", deviceIDs)
}
