package account

import (
	"context"
	"strings"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
)

// Identity is a user of a provider.
type Identity struct {
	Subject string      // unique in the provider, and never reused
	Name    string      // of an account that is created for the identity
	Role    caller.Role // likewise: ADMIN, OPERATOR or MEMBER
}

// IdentityProvider identifies a user at the sign-in.
type IdentityProvider interface {
	// Identify returns the identity of a code, which may be valid only once. An invalid code is ErrLoginRefused.
	Identify(ctx context.Context, code string) (Identity, error)
}

// DemoProvider is the name of DemoIdentities in Options.Identities.
const DemoProvider = "DEMO"

// DemoIdentities accepts the codes admin, operator, alice and bob. For demos only.
type DemoIdentities struct{}

// Identify returns the identity with the name of the code.
func (DemoIdentities) Identify(_ context.Context, code string) (Identity, error) {
	switch code {
	case "admin":
		return Identity{Subject: code, Name: "Admin", Role: caller.Admin}, nil
	case "operator":
		return Identity{Subject: code, Name: "Operator", Role: caller.Operator}, nil
	case "alice":
		return Identity{Subject: code, Name: "Alice", Role: caller.Member}, nil
	case "bob":
		return Identity{Subject: code, Name: "Bob", Role: caller.Member}, nil
	}
	return Identity{}, ErrLoginRefused
}

// The limits of an identity, in bytes.
const (
	maxProvider = 63
	maxSubject  = 255
	maxCode     = 2048
)

func checkIdentity(provider string, identity Identity) error {
	if provider == "" || len(provider) > maxProvider || strings.Trim(provider, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		return errs.Invalid("provider", "must be 1 to %d of A-Z, 0-9 and _", maxProvider)
	}
	if err := input.Key("subject", identity.Subject, maxSubject); err != nil {
		return err
	}
	switch identity.Role {
	case caller.Admin, caller.Operator, caller.Member:
	default:
		return errs.Invalid("role", "must be ADMIN, OPERATOR or MEMBER")
	}
	return input.Name("name", identity.Name, maxName)
}
