package importer

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/recordings"
)

const (
	maxDevices = 500    // per call
	maxKnown   = 10_000 // cached ids; an evicted id is looked up again
)

// roster resolves the keys of devices in a source to their ids. Noted keys are looked up in one batch, when the first
// is needed.
type roster struct {
	in     *intake
	source string
	kind   string
	known  map[string]entry
	noted  map[string]bool
}

// entry is the id of a device, or the reason why the device was refused.
type entry struct {
	id     string
	reason string
}

func (in *intake) newRoster(source, kind string) *roster {
	return &roster{in: in, source: source, kind: kind, known: map[string]entry{}, noted: map[string]bool{}}
}

// note adds the key to the next batch; "" is the device of rows without one.
func (r *roster) note(ctx context.Context, key string) error {
	if _, known := r.known[key]; known {
		return nil
	}
	r.noted[key] = true
	if len(r.noted) < maxDevices {
		return nil
	}
	return r.find(ctx)
}

func (r *roster) id(ctx context.Context, key string) (id, reason string, err error) {
	if _, known := r.known[key]; !known {
		r.noted[key] = true
		if err := r.find(ctx); err != nil {
			return "", "", err
		}
	}
	e := r.known[key]
	return e.id, e.reason, nil
}

func (r *roster) find(ctx context.Context) error {
	if len(r.known) > maxKnown {
		clear(r.known)
	}
	var drafts []recordings.Device
	var keys []string
	for key := range r.noted {
		if key == "" && r.in.isDevice() {
			r.known[key] = entry{id: r.in.Device}
			continue
		}
		keys, drafts = append(keys, key), append(drafts, r.draft(key))
	}
	clear(r.noted)
	if len(drafts) == 0 {
		return nil
	}
	if err := r.ensure(ctx, keys, drafts); err != nil {
		return fmt.Errorf("find the devices: %w", err)
	}
	return nil
}

func (r *roster) ensure(ctx context.Context, keys []string, drafts []recordings.Device) error {
	learn := func(e entry) { // halve visits the drafts in the order of keys
		r.known[keys[0]], keys = e, keys[1:]
	}
	return halve(drafts, func(part []recordings.Device) error {
		ids, created, err := r.in.services.Devices.EnsureDevices(ctx, r.source, part)
		if err != nil {
			return err
		}
		r.in.Devices += created
		for _, id := range ids {
			learn(entry{id: id})
		}
		return nil
	}, func(part []recordings.Device, reason string) {
		for range part {
			learn(entry{reason: reason})
		}
	})
}

func (r *roster) draft(key string) recordings.Device {
	d := recordings.Device{Key: key, Name: key, Kind: r.kind}
	switch {
	case key == "":
		d.Key = r.in.unnamed()
		d.Name = d.Key
	case r.in.DeviceName != "":
		d.Name = strings.ReplaceAll(r.in.DeviceName, "{key}", key)
	}
	return d
}
