package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

// Options configure the service. The zero Options refuse every sign-in.
type Options struct {
	Identities map[string]IdentityProvider // by name
	Issuer     string                      // iss of access tokens; "" means DefaultIssuer
	AccessTTL  time.Duration               // of access tokens, whole seconds; 0 means DefaultAccessTTL
	RefreshTTL time.Duration               // of each refresh token; 0 means DefaultRefreshTTL
	// Derive returns secrets of 32 bytes that follow from the data, the first key first: see seal.Keys. The processes of
	// the service share its keys. nil means keys of this process alone.
	Derive   func(purpose string, data []byte) [][]byte
	NoteWait time.Duration // timeout of the write of APIKey.LastUsedAt during a call; 0 means DefaultNoteWait
}

// The defaults of Options.
const (
	DefaultIssuer     = "sluice"
	DefaultAccessTTL  = 15 * time.Minute
	DefaultRefreshTTL = 30 * 24 * time.Hour
	DefaultNoteWait   = 100 * time.Millisecond
)

// Service has the use cases. It is safe for concurrent use.
type Service struct {
	store   Store
	signer  Signer
	clock   clock.Clock
	options Options
}

// New returns a Service over a store.
func New(store Store, signer Signer, clock clock.Clock, options Options) *Service {
	if options.Issuer == "" {
		options.Issuer = DefaultIssuer
	}
	if options.AccessTTL == 0 {
		options.AccessTTL = DefaultAccessTTL
	}
	if options.RefreshTTL == 0 {
		options.RefreshTTL = DefaultRefreshTTL
	}
	if options.NoteWait == 0 {
		options.NoteWait = DefaultNoteWait
	}
	if options.Derive == nil {
		options.Derive = deriveAlone()
	}
	return &Service{store: store, signer: signer, clock: clock, options: options}
}

func deriveAlone() func(purpose string, data []byte) [][]byte {
	secret := rand.Text()
	return func(purpose string, data []byte) [][]byte {
		mac := hmac.New(sha256.New, []byte(secret+purpose))
		mac.Write(data)
		return [][]byte{mac.Sum(nil)}
	}
}

// EnsureAccount returns the account of an identity, and creates it with the name and the role when there is none.
// Only the system may call it.
func (s *Service) EnsureAccount(ctx context.Context, provider string, identity Identity) (Account, error) {
	who, err := caller.Require(ctx, caller.AccountRead)
	if err != nil {
		return Account{}, err
	}
	if who.Role != caller.System {
		return Account{}, errs.Denied("accounts are made by signing in")
	}
	return s.ensure(ctx, provider, identity)
}

func (s *Service) ensure(ctx context.Context, provider string, identity Identity) (Account, error) {
	if err := checkIdentity(provider, identity); err != nil {
		return Account{}, err
	}
	found, err := s.store.EnsureAccount(ctx, provider, identity.Subject, Account{
		ID: ids.New(ids.Account), Name: identity.Name, Role: identity.Role, CreatedAt: s.clock.Now(), Version: 1,
	})
	if err != nil {
		return Account{}, fmt.Errorf("ensure account: %w", err)
	}
	return found, nil
}

// BatchGetAccounts returns the accounts that the caller sees, in any order: members see their own, staff see all.
func (s *Service) BatchGetAccounts(ctx context.Context, wanted []string) ([]Account, error) {
	who, err := caller.Require(ctx, caller.AccountRead)
	if err != nil {
		return nil, err
	}
	wanted, err = input.IDs("ids", ids.Account, wanted)
	if err != nil {
		return nil, err
	}
	wanted = slices.DeleteFunc(wanted, func(id string) bool { return !entity.Account.Sees(who, entity.Facts{Owner: id}) })
	if len(wanted) == 0 {
		return nil, nil
	}
	accounts, err := s.store.GetAccounts(ctx, wanted)
	if err != nil {
		return nil, fmt.Errorf("get accounts: %w", err)
	}
	return accounts, nil
}
