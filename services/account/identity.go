package account

import (
	"context"
	"strings"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/input"
)

// Identity is somebody as a provider knows them.
type Identity struct {
	Subject string      // unique within the provider, and never given to another person
	Name    string      // for an account that is made of it
	Role    caller.Role // for an account that is made of it: ADMIN, OPERATOR or MEMBER
}

// IdentityProvider tells who signs in.
type IdentityProvider interface {
	// Identify gives the identity that the code stands for. A code may be good once only.
	// ErrLoginRefused when it stands for nobody.
	Identify(ctx context.Context, code string) (Identity, error)
}

// DemoProvider is the name of DemoIdentities among Options.Identities.
const DemoProvider = "DEMO"

// DemoIdentities lets anybody in as admin, operator, alice or bob: the codes are the subjects. It is
// for demos and must be on in nothing else.
type DemoIdentities struct{}

// Identify gives the identity that is called code.
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

// Bounds of what identifies somebody, in bytes.
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
