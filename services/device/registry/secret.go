package registry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/device"
)

// SecretRotated is the event of a rotation.
const SecretRotated device.EventType = "SECRET_ROTATED"

// Registration is a device with its secret, which is returned once and stored hashed.
type Registration struct {
	Device device.Device
	Secret string // "" in a repeat under the same idempotency key
}

// newSecret returns 256 random bits as text. A plain hash is enough for so many bits.
func newSecret() (secret, hash string) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	secret = base64.RawURLEncoding.EncodeToString(random[:])
	return secret, HashSecret(secret)
}

// HashSecret returns the stored form of a secret.
func HashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// RotateSecret replaces the secret of the device, and closes the connections of the old secret.
func (s *Service) RotateSecret(ctx context.Context, id string) (Registration, error) {
	who, err := device.MayWrite(ctx)
	if err != nil {
		return Registration{}, err
	}
	if err := device.CheckID("id", id); err != nil {
		return Registration{}, err
	}
	if err := device.Within(ctx, s.store, who, id); err != nil {
		return Registration{}, err
	}
	secret, hash := newSecret()
	d, err := s.store.Change(ctx, id, func(d device.Device) (*device.Change, error) {
		if !device.Sees(who, d) {
			return nil, device.Missing(id)
		}
		d.Version, d.UpdatedAt = d.Version+1, s.clock.Now()
		change, err := happened(who, d, SecretRotated, "the secret was replaced", details{})
		if change != nil {
			change.SecretHash = hash
		}
		return change, err
	})
	if err != nil {
		return Registration{}, err
	}
	s.disconnect(ctx, id)
	return Registration{Device: d, Secret: secret}, nil
}

// disconnect closes the connections of the device. A process that is not notified finds that the sessions have ended.
func (s *Service) disconnect(ctx context.Context, id string) {
	if err := s.connections.Disconnect(context.WithoutCancel(ctx), id); err != nil {
		s.logger.Warn("the connections of a device were not cut yet", "device", id, "error", err)
	}
}

// Connections closes connections of devices.
type Connections interface {
	// Disconnect closes the connections of the device.
	Disconnect(ctx context.Context, deviceID string) error
}

// NoConnections is the Connections of a service without a listener.
type NoConnections struct{}

// Disconnect does nothing.
func (NoConnections) Disconnect(context.Context, string) error { return nil }

// Authenticate verifies a secret. A wrong secret and an unknown device are both UNAUTHENTICATED.
func (s *Service) Authenticate(ctx context.Context, id, secret string) error {
	refused := errs.New(errs.Unauthenticated, ReasonWrongSecret, "there is no such device, or its secret is another")
	if device.CheckID("id", id) != nil {
		return refused
	}
	hash, err := s.store.SecretHash(ctx, id)
	if err != nil {
		return fmt.Errorf("look up the secret of %s: %w", id, err)
	}
	if hash == "" || subtle.ConstantTimeCompare([]byte(hash), []byte(HashSecret(secret))) != 1 {
		return refused
	}
	return nil
}

// Exists reports whether the device exists and has a secret.
func (s *Service) Exists(ctx context.Context, id string) bool {
	hash, err := s.store.SecretHash(ctx, id)
	return err == nil && hash != ""
}

func issued(who caller.Caller, d device.Device) (Registration, *device.Change, error) {
	secret, hash := newSecret()
	change, err := happened(who, d, device.Registered, "registered as a "+strings.ToLower(string(d.Kind)), details{Kind: d.Kind})
	if err != nil {
		return Registration{}, nil, err
	}
	change.SecretHash = hash
	return Registration{Device: d, Secret: secret}, change, nil
}
