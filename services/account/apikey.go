package account

import (
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
)

// APIKey is the credential of a program, without its secret.
type APIKey struct {
	ID              string
	AccountID       string // for which it acts
	Role            caller.Role
	Name            string
	Prefix          string // the public part of the secret; unique
	Scopes          []string
	DeviceLabels    map[string]string `json:",omitempty"` // limits the key to devices with all of these labels; nil for no limit
	PointsPerMinute int
	CreatedAt       time.Time
	ExpiresAt       *time.Time
	LastUsedAt      *time.Time // resolution: one minute
	RevokedAt       *time.Time
}

// The limits of an API key.
const (
	DefaultPointsPerMinute = 60_000
	MaxPointsPerMinute     = 1_000_000
	maxLifeYears           = 5
	maxLabels              = 32
	maxLabelKey            = 63
	maxLabelValue          = 255
)

// Usable returns ErrAPIKeyRevoked, ErrAPIKeyExpired or nil.
func (k APIKey) Usable(now time.Time) error {
	switch {
	case k.RevokedAt != nil:
		return ErrAPIKeyRevoked
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return ErrAPIKeyExpired
	}
	return nil
}

// Rotate returns the key with a new secret. FAILED_PRECONDITION for a revoked or expired key.
func (k APIKey) Rotate(prefix string, now time.Time) (APIKey, error) {
	if err := k.Usable(now); err != nil {
		over := errs.From(err)
		return APIKey{}, errs.New(errs.FailedPrecondition, over.Reason, "%s: make a new one", over.Message)
	}
	k.Prefix = prefix
	return k, nil
}

// Revoke returns the revoked key. changed is false if it was revoked before.
func (k APIKey) Revoke(now time.Time) (revoked APIKey, changed bool) {
	if k.RevokedAt != nil {
		return k, false
	}
	k.RevokedAt = &now
	return k, true
}

// CreateAPIKeyInput is the input of CreateAPIKey.
type CreateAPIKeyInput struct {
	Name            string
	Scopes          []string
	DeviceLabels    map[string]string // limits the key to devices with all of these labels; empty for no limit
	PointsPerMinute int               // 0 means DefaultPointsPerMinute
	ExpiresAt       *time.Time        // nil never expires
	IdempotencyKey  string
}

// normal returns the input in its stored form.
func (in CreateAPIKeyInput) normal() CreateAPIKeyInput {
	in.Scopes = slices.Compact(slices.Sorted(slices.Values(in.Scopes)))
	if len(in.DeviceLabels) == 0 {
		in.DeviceLabels = nil
	}
	if in.PointsPerMinute == 0 {
		in.PointsPerMinute = DefaultPointsPerMinute
	}
	if in.ExpiresAt != nil {
		at := in.ExpiresAt.UTC().Truncate(time.Microsecond)
		in.ExpiresAt = &at
	}
	return in
}

func (in CreateAPIKeyInput) check(now time.Time) error {
	if err := input.Name("name", in.Name, maxName); err != nil {
		return err
	}
	if err := checkScopes(in.Scopes); err != nil {
		return err
	}
	if err := checkLabels(in.DeviceLabels); err != nil {
		return err
	}
	if in.PointsPerMinute < 1 || in.PointsPerMinute > MaxPointsPerMinute {
		return errs.Invalid("pointsPerMinute", "must be between 1 and %d", MaxPointsPerMinute)
	}
	switch {
	case in.ExpiresAt == nil:
	case !in.ExpiresAt.After(now):
		return errs.Invalid("expiresAt", "must lie in the future")
	case in.ExpiresAt.After(now.AddDate(maxLifeYears, 0, 0)):
		return errs.Invalid("expiresAt", "must lie within %d years", maxLifeYears)
	}
	return nil
}

func checkLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return errs.Invalid("deviceLabels", "are more than %d", maxLabels)
	}
	for key, value := range labels {
		if err := input.Name("deviceLabels", key, maxLabelKey); err != nil {
			return err
		}
		if err := input.Line("deviceLabels", value, maxLabelValue); err != nil {
			return err
		}
	}
	return nil
}

func checkScopes(scopes []string) error {
	if len(scopes) == 0 {
		return errs.Invalid("scopes", "must not be empty")
	}
	all := caller.ScopesOf(caller.System)
	for _, scope := range scopes {
		if !slices.Contains(all, scope) {
			return errs.Invalid("scopes", "there is no scope %.80q", scope)
		}
	}
	return nil
}

func checkGrantable(who caller.Caller, scopes []string, deviceLabels map[string]string) error {
	if !who.SeesLabels(deviceLabels) {
		return errs.New(errs.PermissionDenied, ReasonScopeNotHeld, "you cannot give a key for more devices than your own key is limited to: name its labels in deviceLabels")
	}
	for _, scope := range scopes {
		if !who.Has(scope) {
			return errs.New(errs.PermissionDenied, ReasonScopeNotHeld, "you cannot give the scope %s: you do not have it", scope)
		}
	}
	return nil
}

// Facts returns the facts that visibility depends on.
func (k APIKey) Facts() entity.Facts { return entity.Facts{Owner: k.AccountID} }
