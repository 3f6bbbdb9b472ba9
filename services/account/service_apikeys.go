package account

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/idempotency"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/services/account/apikey"
)

// CreatedAPIKey is an API key with its secret, which no other call returns.
type CreatedAPIKey struct {
	APIKey APIKey
	Secret string // "" for a retry under the same idempotency key: a secret is returned once
}

// CreateAPIKey creates an API key for the caller's account. SCOPE_NOT_HELD for a scope or a device that the caller
// does not have.
func (s *Service) CreateAPIKey(ctx context.Context, in CreateAPIKeyInput) (CreatedAPIKey, error) {
	who, err := caller.Require(ctx, caller.APIKeyWrite)
	if err != nil {
		return CreatedAPIKey{}, err
	}
	if who.AccountID == "" {
		return CreatedAPIKey{}, errs.Denied("an API key acts for an account, and you have none")
	}
	now := s.clock.Now()
	in = in.normal()
	if err := in.check(now); err != nil {
		return CreatedAPIKey{}, err
	}
	if err := checkGrantable(who, in.Scopes, in.DeviceLabels); err != nil {
		return CreatedAPIKey{}, err
	}
	once, err := idempotency.NewKey(ctx, in.IdempotencyKey, "CreateApiKey", in)
	if err != nil {
		return CreatedAPIKey{}, err
	}
	key := APIKey{
		ID: ids.New(ids.APIKey), AccountID: who.AccountID, Role: who.Role, Name: in.Name, Scopes: in.Scopes,
		DeviceLabels: in.DeviceLabels, PointsPerMinute: in.PointsPerMinute, CreatedAt: now, ExpiresAt: in.ExpiresAt,
	}
	if key.PointsPerMinute == 0 && who.APIKeyID == "" {
		key.PointsPerMinute = DefaultPointsPerMinute
	}
	return s.storeKey(ctx, once, key, who.APIKeyID)
}

func (s *Service) storeKey(ctx context.Context, once idempotency.Key, key APIKey, makerID string) (CreatedAPIKey, error) {
	var created CreatedAPIKey
	err := withFreshSecret(func(secret apikey.Key) error {
		key.Prefix = secret.Prefix()
		kept, err := s.store.CreateAPIKey(ctx, once, key, makerID, secret.Hash())
		if err != nil {
			return err
		}
		created = CreatedAPIKey{APIKey: kept}
		if kept.ID == key.ID {
			created.Secret = secret.Reveal()
		}
		return nil
	})
	if err != nil {
		return CreatedAPIKey{}, fmt.Errorf("create API key: %w", err)
	}
	return created, nil
}

// RotateAPIKey replaces the secret of a key; the old secret is invalid at once. A caller without all scopes of the
// key would gain them with the secret, so it is refused: SCOPE_NOT_HELD. A retry under the same idempotency key rotates
// nothing and returns no secret.
func (s *Service) RotateAPIKey(ctx context.Context, id, idempotencyKey string) (CreatedAPIKey, error) {
	who, key, err := s.managed(ctx, id)
	if err != nil {
		return CreatedAPIKey{}, err
	}
	if err := checkGrantable(who, key.Scopes, key.DeviceLabels); err != nil {
		return CreatedAPIKey{}, err
	}
	once, err := idempotency.NewKey(ctx, idempotencyKey, "RotateApiKey", id)
	if err != nil {
		return CreatedAPIKey{}, err
	}
	var created CreatedAPIKey
	err = withFreshSecret(func(secret apikey.Key) error {
		rotated, err := s.store.RotateAPIKey(ctx, once, id, secret.Prefix(), secret.Hash(), s.clock.Now())
		created = CreatedAPIKey{APIKey: rotated}
		if rotated.Prefix == secret.Prefix() {
			created.Secret = secret.Reveal()
		}
		return err
	})
	if err != nil {
		return CreatedAPIKey{}, fmt.Errorf("rotate API key: %w", err)
	}
	return created, nil
}

// RevokeAPIKey revokes a key for good, with all keys that it made. A second call changes nothing.
func (s *Service) RevokeAPIKey(ctx context.Context, id string) (APIKey, error) {
	if _, _, err := s.managed(ctx, id); err != nil {
		return APIKey{}, err
	}
	revoked, err := s.store.RevokeAPIKey(ctx, id, s.clock.Now())
	if err != nil {
		return APIKey{}, fmt.Errorf("revoke API key: %w", err)
	}
	return revoked, nil
}

// managed returns a key that the caller may change: one that it sees, or its own.
func (s *Service) managed(ctx context.Context, id string) (caller.Caller, APIKey, error) {
	who, err := caller.Require(ctx, caller.APIKeyWrite)
	if err != nil {
		return caller.Caller{}, APIKey{}, err
	}
	if err := input.ID("id", ids.APIKey, id); err != nil {
		return caller.Caller{}, APIKey{}, err
	}
	found, err := s.store.GetAPIKeys(ctx, []string{id})
	if err != nil {
		return caller.Caller{}, APIKey{}, fmt.Errorf("get API key: %w", err)
	}
	if len(found) == 0 || found[0].ID != who.APIKeyID && !entity.APIKey.Sees(who, found[0].Facts()) {
		return caller.Caller{}, APIKey{}, errs.Missing("API key", id)
	}
	return who, found[0], nil
}

// maxListed bounds ListAPIKeys.
const maxListed = 1000

// ListAPIKeys returns the newest keys first, at most 1,000: those of the caller's account, all for administrators, and
// for an API key those that it made.
func (s *Service) ListAPIKeys(ctx context.Context) ([]APIKey, error) {
	who, err := caller.Require(ctx, caller.APIKeyWrite)
	if err != nil {
		return nil, err
	}
	visible := entity.APIKey.Visibility(who)
	owner, some := visible.OwnerOnly()
	if !some && visible.Maker == "" {
		return nil, nil
	}
	keys, err := s.store.ListAPIKeys(ctx, APIKeyFilter{AccountID: owner, Maker: visible.Maker}, maxListed)
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	return keys, nil
}

// BatchGetAPIKeys returns the keys that the caller sees, in any order, and always the key of the call itself.
func (s *Service) BatchGetAPIKeys(ctx context.Context, wanted []string) ([]APIKey, error) {
	who := caller.FromContext(ctx)
	_, refused := caller.Require(ctx, caller.APIKeyWrite)
	if refused != nil && !who.Known() {
		return nil, refused
	}
	wanted, err := input.IDs("ids", ids.APIKey, wanted)
	if err != nil {
		return nil, err
	}
	if refused != nil {
		wanted = slices.DeleteFunc(wanted, func(id string) bool { return id != who.APIKeyID })
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	found, err := s.store.GetAPIKeys(ctx, wanted)
	if err != nil {
		return nil, fmt.Errorf("get API keys: %w", err)
	}
	var seen []APIKey
	for _, key := range found {
		if key.ID == who.APIKeyID || entity.APIKey.Sees(who, key.Facts()) {
			seen = append(seen, key)
		}
	}
	return seen, nil
}

// VerifyAPIKey returns the key of a secret. It needs no caller: the secret is the proof. A typo is detected without a
// lookup, and an unknown prefix costs the same work as a known one.
func (s *Service) VerifyAPIKey(ctx context.Context, text string) (APIKey, error) {
	presented, err := apikey.Parse(text)
	if err != nil {
		return APIKey{}, ErrAPIKeyMalformed
	}
	found, secret, err := s.store.FindAPIKey(ctx, presented.Prefix())
	unknown := errors.Is(err, ErrAPIKeyUnknown)
	if err != nil && !unknown {
		return APIKey{}, fmt.Errorf("find API key: %w", err)
	}
	hash := presented.Hash()
	matches := subtle.ConstantTimeCompare(hash[:], secret[:]) == 1
	if unknown || !matches {
		return APIKey{}, ErrAPIKeyUnknown
	}
	now := s.clock.Now()
	if err := found.Usable(now); err != nil {
		return APIKey{}, err
	}
	return s.touched(ctx, found, now), nil
}

// touchEvery is the resolution of APIKey.LastUsedAt.
const touchEvery = time.Minute

// touched stores that the key was used. A write that exceeds its timeout is dropped, because a valid key must not be
// refused; the next call writes it.
func (s *Service) touched(ctx context.Context, key APIKey, now time.Time) APIKey {
	since := now.Add(-touchEvery)
	if key.LastUsedAt != nil && key.LastUsedAt.After(since) {
		return key
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.NoteWait)
	defer cancel()
	if s.store.TouchAPIKey(ctx, key.ID, now, since) == nil {
		key.LastUsedAt = &now
	}
	return key
}

// maxPrefixes bounds the attempts to find a free prefix; a collision is very unlikely.
const maxPrefixes = 4

func withFreshSecret(keep func(secret apikey.Key) error) error {
	var err error
	for range maxPrefixes {
		if err = keep(apikey.New()); !errors.Is(err, ErrPrefixTaken) {
			return err
		}
	}
	return err
}
