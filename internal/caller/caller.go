// Package caller says on whose behalf a call is made, from the gate down to the rule that decides.
//
// The gate finds out who is calling and puts a Caller into the context; internal/rpc carries it to
// the services; their rules read it. A context without one belongs to nobody, and nobody may do
// anything.
package caller

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/errs"
)

// Role is what an account is trusted with.
type Role string

// The roles. System is Sluice itself: schedulers, importers and relays.
const (
	Admin    Role = "ADMIN"
	Operator Role = "OPERATOR"
	Member   Role = "MEMBER"
	System   Role = "SYSTEM"
)

// Scopes name what a caller may do. A role has all of its scopes, an API key those that it was given.
// internal/catalog states which service a scope belongs to, and which roles have it.
const (
	AccountRead     = "account:read"
	APIKeyWrite     = "apikey:write"
	DeviceRead      = "device:read"
	DeviceWrite     = "device:write"
	DeviceConfigure = "device:configure"
	DeviceCommand   = "device:command"
	CameraView      = "camera:view"
	CameraMove      = "camera:move"
	TripRead        = "trip:read"
	TripWrite       = "trip:write"
	JobRead         = "job:read"
	JobWrite        = "job:write"
	ActivityRead    = "activity:read"
	ActivityWrite   = "activity:write"
	CallerRead      = "caller:read"
	CallerWrite     = "caller:write"
	SchemaRead      = "schema:read" // to introspect, where not everybody may
)

// Caller is who asks.
type Caller struct {
	AccountID string   // the account that acts, or that owns the API key; "" for nobody and for the system
	APIKeyID  string   // set when an API key was presented
	SessionID string   // set when an access token was presented: the session it belongs to
	Role      Role     // "" for nobody
	Scopes    []string // what it may do

	// DeviceLabels limits an API key to the devices that have all of these labels: others do not exist
	// for it. None for no limit.
	DeviceLabels map[string]string

	// These only the gate knows.
	PointsPerMinute int       // the budget of the API key
	ExpiresAt       time.Time // when what was presented stops to hold; zero when it holds until it is revoked
}

// ScopesOf returns the scopes of a role: those that internal/catalog gives it, and those of the gateway itself.
// MEMBER rents and records its own activity. OPERATOR also operates: it configures and commands devices, and
// watches through cameras. ADMIN also manages devices and API keys. An unknown role has none.
func ScopesOf(role Role) []string {
	rank := slices.Index([]Role{Member, Operator, Admin, System}, role)
	var scopes []string
	for _, s := range catalog.Services() {
		if rank >= 0 {
			scopes = append(scopes, s.Member...)
		}
		if rank >= 1 {
			scopes = append(scopes, s.Operator...)
		}
		if rank >= 2 {
			scopes = append(scopes, s.Admin...)
		}
	}
	if rank >= 1 {
		scopes = append(scopes, CallerRead, CallerWrite, SchemaRead)
	}
	return scopes
}

// SeesLabels tells whether a device that has the labels may exist for the caller.
func (c Caller) SeesLabels(labels map[string]string) bool {
	for key, value := range c.DeviceLabels {
		if got, ok := labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// OfSystem is the caller for work that Sluice does on its own account.
func OfSystem() Caller { return Caller{Role: System, Scopes: ScopesOf(System)} }

// Known tells whether anybody is there.
func (c Caller) Known() bool { return c.Role != "" }

// Has tells whether the caller may do what scope names.
func (c Caller) Has(scope string) bool { return slices.Contains(c.Scopes, scope) }

// Staff tells whether the caller may see and act on what belongs to others.
func (c Caller) Staff() bool { return c.Role == Admin || c.Role == Operator || c.Role == System }

// Administers tells whether the caller may do what changes the installation, such as importing.
func (c Caller) Administers() bool { return c.Role == Admin || c.Role == System }

// MayActFor tells whether the caller may see and act on what belongs to the account.
func (c Caller) MayActFor(accountID string) bool {
	return c.Staff() || (c.AccountID != "" && c.AccountID == accountID)
}

// Name identifies the caller in records of who did what: the API key, else the account, else the role.
func (c Caller) Name() string {
	switch {
	case c.APIKeyID != "":
		return c.APIKeyID
	case c.AccountID != "":
		return c.AccountID
	case c.Role == System:
		return "system"
	}
	return "anonymous"
}

type contextKey struct{}

// held is a caller in a context, with the text that it travels as.
type held struct {
	Caller
	text func() (string, error)
}

// NewContext gives a context whose calls are made on behalf of c.
func NewContext(ctx context.Context, c Caller) context.Context {
	h := &held{Caller: c}
	h.text = sync.OnceValues(h.encode)
	return context.WithValue(ctx, contextKey{}, h)
}

// FromContext tells on whose behalf ctx acts; nobody when it does not say.
func FromContext(ctx context.Context) Caller {
	if h, ok := ctx.Value(contextKey{}).(*held); ok {
		return h.Caller
	}
	return Caller{}
}

// Encoded gives the caller of ctx as text that Decode reads, "" for nobody. It is written once, however
// many calls are made under the context.
func Encoded(ctx context.Context) (string, error) {
	h, ok := ctx.Value(contextKey{}).(*held)
	if !ok || !h.Known() {
		return "", nil
	}
	return h.text()
}

func (h *held) encode() (string, error) {
	text, err := json.Marshal(h.Caller)
	if err != nil {
		return "", fmt.Errorf("write the caller: %w", err)
	}
	return string(text), nil
}

// Decode reads what Encoded wrote; what does not read is nobody.
func Decode(text string) Caller {
	var c Caller
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return Caller{}
	}
	return c
}

// Require gives the caller of ctx when it may do what scope names: UNAUTHENTICATED for nobody,
// PERMISSION_DENIED for somebody who may not.
func Require(ctx context.Context, scope string) (Caller, error) {
	c := FromContext(ctx)
	if !c.Known() {
		return Caller{}, errs.New(errs.Unauthenticated, "SIGN_IN_REQUIRED", "sign in, or send an API key")
	}
	if !c.Has(scope) {
		return Caller{}, errs.New(errs.PermissionDenied, "SCOPE_MISSING", "this needs the scope %s", scope)
	}
	return c, nil
}
