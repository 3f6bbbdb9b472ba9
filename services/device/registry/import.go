package registry

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/services/device"
)

// Bounds of an import; texts in characters.
const (
	maxDrafts     = 1_000 // per call
	maxSource     = 200
	maxExternalID = 400
)

// Draft is a device of a source.
type Draft struct {
	ExternalID string // id in the source
	Name       string
	Kind       device.Kind
	Labels     map[string]string
	Position   *device.Position // the latest; nil if unknown
}

// ImportInput has the devices of a source.
type ImportInput struct {
	Source       string
	Drafts       []Draft // at most 1,000
	IssueSecrets bool    // new devices get a secret
	KeepKnown    bool    // known devices stay unchanged
}

// Import is the result of an import.
type Import struct {
	Devices []device.Device // one per draft, in order
	Created int64
	Secrets []string // one per draft if requested, returned once; "" for known devices
}

// Import creates the devices whose external ids are new in the source. Known devices get the name, labels and a later
// position of the draft, or stay unchanged with KeepKnown. One refusal refuses all. For the system and
// administrators, but not for API keys that are limited to some devices.
func (s *Service) Import(ctx context.Context, in ImportInput) (Import, error) {
	who, err := device.MayWrite(ctx)
	if err != nil {
		return Import{}, err
	}
	if !who.Administers() || len(who.DeviceLabels) > 0 {
		return Import{}, errs.Denied("only administrators import devices")
	}
	if err := input.Name("source", in.Source, maxSource); err != nil {
		return Import{}, err
	}
	if len(in.Drafts) == 0 || len(in.Drafts) > maxDrafts {
		return Import{}, errs.Invalid("devices", "must be 1 to %d", maxDrafts)
	}
	made, secrets := make([]device.Change, len(in.Drafts)), make([]string, len(in.Drafts))
	for i, draft := range in.Drafts {
		change, err := s.drafted(who, in.Source, fmt.Sprintf("devices[%d]", i), draft)
		if err != nil {
			return Import{}, err
		}
		if in.IssueSecrets {
			secrets[i], change.SecretHash = newSecret()
		}
		made[i] = *change
	}
	devices, created, err := s.store.Import(ctx, made, func(known, draft device.Device) (*device.Change, error) {
		if known.Kind != draft.Kind {
			return nil, importMismatch(known)
		}
		if in.KeepKnown {
			return nil, nil
		}
		after := known
		after.Name, after.Labels, after.Position = draft.Name, draft.Labels, device.Latest(known.Position, draft.Position)
		return updated(who, known, after, s.clock.Now())
	})
	if err != nil {
		return Import{}, err
	}
	if !in.IssueSecrets {
		return Import{Devices: devices, Created: created}, nil
	}
	for i, d := range devices {
		if d.ID != made[i].Device.ID {
			secrets[i] = ""
		}
	}
	return Import{Devices: devices, Created: created, Secrets: secrets}, nil
}

func (s *Service) drafted(who caller.Caller, source, field string, draft Draft) (*device.Change, error) {
	if err := input.Name(field+".externalId", draft.ExternalID, maxExternalID); err != nil {
		return nil, err
	}
	if err := input.Name(field+".name", draft.Name, device.MaxName); err != nil {
		return nil, err
	}
	if err := device.CheckKind(field+".kind", draft.Kind); err != nil {
		return nil, err
	}
	if err := device.CheckLabels(field+".labels", draft.Labels); err != nil {
		return nil, err
	}
	position, err := device.CheckPosition(field+".position", draft.Position)
	if err != nil {
		return nil, err
	}
	d := s.fresh(draft.Name, draft.Kind, draft.Labels)
	d.Position, d.Source, d.ExternalID = position, source, draft.ExternalID
	return happened(who, d, device.Imported, fmt.Sprintf("imported from %.80q", source),
		details{Kind: d.Kind, Source: source, ExternalID: draft.ExternalID})
}
