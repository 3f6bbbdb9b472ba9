// Package caller has the identity on whose behalf a call is made. The gateway authenticates a request and puts the
// Caller into the context, internal/rpc sends it to the services, and their rules read it. A context without a Caller
// is anonymous.
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

// Role is the role of an account.
type Role string

// The roles. System is Sluice itself: schedulers, importers and relays.
const (
	Admin    Role = "ADMIN"
	Operator Role = "OPERATOR"
	Member   Role = "MEMBER"
	System   Role = "SYSTEM"
)

// Scopes name the operations that a caller may call. A role has all of its scopes, an API key a subset: see
// internal/catalog.
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
	SchemaRead      = "schema:read" // introspection, where it is not public
)

// Caller is the identity of a caller.
type Caller struct {
	AccountID string   `json:",omitzero"`  // the account that acts, or that owns the API key; "" for anonymous callers and the system
	APIKeyID  string   `json:",omitzero"`  // "" unless the credential is an API key
	SessionID string   `json:",omitzero"`  // the session of the access token; "" for other credentials
	Role      Role     `json:",omitzero"`  // "" for an anonymous caller
	Scopes    []string `json:",omitempty"` // the operations that it may call

	// DeviceLabels limits an API key to devices with all of these labels; for the key, other devices do not exist.
	DeviceLabels map[string]string `json:",omitempty"`

	// Only the gateway uses the fields below, and does not send them.
	Generation      int64     `json:"-"` // of the tokens of the session
	PointsPerMinute int       `json:"-"` // the rate limit of the API key
	ExpiresAt       time.Time `json:"-"` // of the credential; zero never expires
}

// ScopesOf returns the scopes of a role: those of internal/catalog, and those of the gateway. MEMBER rents vehicles
// and records its own activity. OPERATOR also configures and commands devices, and watches cameras. ADMIN also
// manages devices and API keys. An unknown role has none.
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

// SeesLabels reports whether a device with the labels is within the limit of the caller.
func (c Caller) SeesLabels(labels map[string]string) bool {
	for key, value := range c.DeviceLabels {
		if got, ok := labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// OfSystem returns the caller of Sluice's background work.
func OfSystem() Caller { return Caller{Role: System, Scopes: ScopesOf(System)} }

// Known reports whether the caller is authenticated.
func (c Caller) Known() bool { return c.Role != "" }

// Has reports whether the caller has the scope. A caller with DeviceLabels has only scopes that are limited by them.
func (c Caller) Has(scope string) bool {
	return slices.Contains(c.Scopes, scope) && (len(c.DeviceLabels) == 0 || isLimited(scope))
}

// LabelLimit returns the refusal of a caller that has one of the scopes, but not within its DeviceLabels; nil for others.
func (c Caller) LabelLimit(scopes ...string) error {
	for _, scope := range scopes {
		if slices.Contains(c.Scopes, scope) && !c.Has(scope) {
			return errs.New(errs.PermissionDenied, ReasonLabelLimited, "this API key is limited by deviceLabels, which %s does not apply", scope)
		}
	}
	return nil
}

// ReasonLabelLimited refuses what the labels of an API key cannot limit.
const ReasonLabelLimited = "LABEL_LIMITED"

// isLimited reports whether everything that the scope allows is limited by DeviceLabels, or by the account or the API
// key itself. Trips, jobs and activities refer to devices, but their services do not know the labels.
func isLimited(scope string) bool {
	switch scope {
	case DeviceRead, DeviceWrite, DeviceConfigure, DeviceCommand, CameraView, CameraMove, AccountRead, APIKeyWrite, SchemaRead:
		return true
	}
	return false
}

// Staff reports whether the caller may see and change entities of other accounts.
func (c Caller) Staff() bool { return c.Role == Admin || c.Role == Operator || c.Role == System }

// Administers reports whether the caller may change the installation, for example import recordings.
func (c Caller) Administers() bool { return c.Role == Admin || c.Role == System }

// MayActFor reports whether the caller may see and change entities of the account.
func (c Caller) MayActFor(accountID string) bool {
	return c.Staff() || (c.AccountID != "" && c.AccountID == accountID)
}

// Name identifies the caller in records: the API key, else the account, else the role.
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

type contextValue struct {
	Caller
	once sync.Once
	text string // Caller as encode returns it
	err  error
}

// NewContext returns a context with the caller.
func NewContext(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, &contextValue{Caller: c})
}

// FromContext returns the caller of a context; an anonymous one if it has none.
func FromContext(ctx context.Context) Caller {
	if h, ok := ctx.Value(contextKey{}).(*contextValue); ok {
		return h.Caller
	}
	return Caller{}
}

// Encoded returns the caller in the form of Decode; "" for an anonymous one. It is encoded once per context.
func Encoded(ctx context.Context) (string, error) {
	h, ok := ctx.Value(contextKey{}).(*contextValue)
	if !ok || !h.Known() {
		return "", nil
	}
	h.once.Do(func() { h.text, h.err = h.encode() })
	return h.text, h.err
}

// encoded is the form of a Caller between processes. It does not list the scopes of a role, which nearly all callers have:
// they would be most of the metadata of each call.
type encoded struct {
	Caller
	RoleScopes bool `json:",omitzero"` // Scopes are those of the role
}

func (h *contextValue) encode() (string, error) {
	e := encoded{Caller: h.Caller}
	if slices.Equal(e.Scopes, ScopesOf(e.Role)) {
		e.Scopes, e.RoleScopes = nil, true
	}
	text, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("write the caller: %w", err)
	}
	return string(text), nil
}

// Decode decodes the result of Encoded. Other input is an anonymous caller.
func Decode(text string) Caller {
	var e encoded
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return Caller{}
	}
	if e.RoleScopes {
		e.Scopes = ScopesOf(e.Role)
	}
	return e.Caller
}

// Require returns the caller if it has the scope, UNAUTHENTICATED for an anonymous caller, else PERMISSION_DENIED.
func Require(ctx context.Context, scope string) (Caller, error) {
	c := FromContext(ctx)
	if !c.Known() {
		return Caller{}, errs.New(errs.Unauthenticated, "SIGN_IN_REQUIRED", "sign in, or send an API key")
	}
	if err := c.LabelLimit(scope); err != nil {
		return Caller{}, err
	}
	if !c.Has(scope) {
		return Caller{}, errs.New(errs.PermissionDenied, "SCOPE_MISSING", "this needs the scope %s", scope)
	}
	return c, nil
}
