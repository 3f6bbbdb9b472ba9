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
	Makers          []string `json:",omitempty"` // the keys that made it: the first maker first, the one that called last
}

// The limits of an API key.
const (
	DefaultPointsPerMinute = 60_000
	MaxPointsPerMinute     = 1_000_000
	maxLifeYears           = 5
	maxMakers              = 8
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

// MadeBy returns the new key as its maker may make it: for no more scopes, devices, points and time than the maker has.
// More than that is SCOPE_NOT_HELD. It ends with its maker.
func (k APIKey) MadeBy(maker APIKey, now time.Time) (APIKey, error) {
	if err := maker.Usable(now); err != nil {
		return APIKey{}, err
	}
	if len(maker.Makers) >= maxMakers {
		return APIKey{}, notHeld("a key that %d keys have made in turn makes no further one", maxMakers)
	}
	for _, scope := range k.Scopes {
		if !slices.Contains(maker.Scopes, scope) {
			return APIKey{}, notHeld("you cannot give the scope %s: you do not have it", scope)
		}
	}
	if k.PointsPerMinute == 0 {
		k.PointsPerMinute = min(DefaultPointsPerMinute, maker.PointsPerMinute)
	}
	if k.PointsPerMinute > maker.PointsPerMinute {
		return APIKey{}, notHeld("you cannot give %d points per minute: your own key has %d", k.PointsPerMinute, maker.PointsPerMinute)
	}
	if k.ExpiresAt == nil {
		k.ExpiresAt = maker.ExpiresAt
	}
	if maker.ExpiresAt != nil && k.ExpiresAt.After(*maker.ExpiresAt) {
		return APIKey{}, notHeld("a key cannot expire later than the key that makes it: %s", maker.ExpiresAt.Format(time.RFC3339))
	}
	k.AccountID, k.Role = maker.AccountID, maker.Role
	k.Makers = append(slices.Clone(maker.Makers), maker.ID)
	return k, nil
}

func notHeld(format string, args ...any) error {
	return errs.New(errs.PermissionDenied, ReasonScopeNotHeld, format, args...)
}

// CreateAPIKeyInput is the input that creates an API key.
type CreateAPIKeyInput struct {
	Name            string
	Scopes          []string
	DeviceLabels    map[string]string // limits the key to devices with all of these labels; none for no limit
	PointsPerMinute int               // 0 means DefaultPointsPerMinute, or less where the maker has less
	ExpiresAt       *time.Time        // nil for a key that is valid until it is revoked, or as long as its maker
	IdempotencyKey  string
}

// normal returns the input in its stored form.
func (in CreateAPIKeyInput) normal() CreateAPIKeyInput {
	in.Scopes = slices.Compact(slices.Sorted(slices.Values(in.Scopes)))
	if len(in.DeviceLabels) == 0 {
		in.DeviceLabels = nil
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
	if in.PointsPerMinute < 0 || in.PointsPerMinute > MaxPointsPerMinute {
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
		return notHeld("you cannot give a key for more devices than your own key is limited to: name its labels in deviceLabels")
	}
	for _, scope := range scopes {
		if !who.Has(scope) {
			return notHeld("you cannot give the scope %s: you do not have it", scope)
		}
	}
	return nil
}

// Facts returns what the visibility of the key depends on.
func (k APIKey) Facts() entity.Facts { return entity.Facts{Owner: k.AccountID, Makers: k.Makers} }
