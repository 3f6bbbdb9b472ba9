package account

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

// Credentials are the tokens of a sign-in or a refresh.
type Credentials struct {
	AccessToken  string    // a JWT, see Claims
	RefreshToken string    // opaque; see RefreshSession
	ExpiresAt    time.Time // of the access token
	Account      Account
}

// Login opens a session for the identity of a code, and creates its account if necessary. It needs no caller. Errors:
// PROVIDER_DISABLED, LOGIN_REFUSED.
func (s *Service) Login(ctx context.Context, provider, code string) (Credentials, error) {
	identities, ok := s.options.Identities[provider]
	switch {
	case !ok:
		return Credentials{}, ErrProviderDisabled
	case code == "" || len(code) > maxCode:
		return Credentials{}, errs.Invalid("code", "must have 1 to %d bytes", maxCode)
	}
	identity, err := identities.Identify(ctx, code)
	if err != nil {
		return Credentials{}, fmt.Errorf("identify: %w", err)
	}
	found, err := s.ensure(ctx, provider, identity)
	if err != nil {
		return Credentials{}, err
	}
	return s.openSession(ctx, found)
}

func (s *Service) openSession(ctx context.Context, of Account) (Credentials, error) {
	now := s.clock.Now()
	if err := s.forget(ctx, now); err != nil {
		return Credentials{}, err
	}
	session := Session{ID: ids.New(ids.Session), AccountID: of.ID, CreatedAt: now, ExpiresAt: now.Add(s.options.RefreshTTL), Generation: 1, Seen: 1, RotatedAt: now}
	token := newRefreshToken()
	if err := s.store.OpenSession(ctx, session, hashRefreshToken(token)); err != nil {
		return Credentials{}, fmt.Errorf("open session: %w", err)
	}
	return s.credentials(session, of, token, now)
}

// RefreshSession exchanges a refresh token for new credentials. It needs no caller, because the token is the proof. The
// parent of the newest token returns that token again for a short time (see Session.Judge). Any older token ends its
// session (REFRESH_TOKEN_REUSED), because one of two clients must be a thief (RFC 9700 section 4.14).
func (s *Service) RefreshSession(ctx context.Context, token string) (Credentials, error) {
	now := s.clock.Now()
	if len(token) != refreshTokenLength {
		return Credentials{}, ErrRefreshTokenUnknown
	}
	if err := s.forget(ctx, now); err != nil {
		return Credentials{}, err
	}
	next := s.successors(token)
	hashes := make([]Hash, len(next))
	for i, text := range next {
		hashes[i] = hashRefreshToken(text)
	}
	use, err := s.store.UseRefreshToken(ctx, hashRefreshToken(token), hashes, now.Add(s.options.RefreshTTL), now)
	if err != nil {
		return Credentials{}, fmt.Errorf("refresh session: %w", err)
	}
	switch use.Verdict {
	case Rotate, Repeat:
		return s.credentials(use.Session, use.Account, next[use.Next], now)
	case Reused:
		return Credentials{}, ErrRefreshTokenReused
	case Expired:
		return Credentials{}, ErrSessionExpired
	}
	return Credentials{}, ErrSessionEnded
}

// maxChecked is the limit of CheckSessions.
const maxChecked = 1000

// CheckSessions returns those of the sessions that have not ended, with the present role of their account. It notes
// which generation of tokens is in use. It is for gateways, and needs no caller.
func (s *Service) CheckSessions(ctx context.Context, uses []SessionUse) ([]LiveSession, error) {
	if len(uses) > maxChecked {
		return nil, errs.Invalid("tokens", "are more than %d", maxChecked)
	}
	live, unseen, err := s.store.CheckSessions(ctx, uses)
	if err != nil {
		return nil, fmt.Errorf("check sessions: %w", err)
	}
	if len(unseen) > 0 {
		noting, cancel := context.WithTimeout(ctx, s.options.NoteWait)
		defer cancel()
		_ = s.store.SeeSessions(noting, unseen) // a later check notes it
	}
	return live, nil
}

// Logout ends the session of the caller, and the session of the refresh token when one is sent. A second call changes
// nothing, and an unknown token is no error (RFC 7009 section 2.2). NO_SESSION for a caller without a session.
func (s *Service) Logout(ctx context.Context, token string) error {
	who := caller.FromContext(ctx)
	switch {
	case token != "" || who.SessionID != "":
	case !who.Known():
		return errs.New(errs.Unauthenticated, "SIGN_IN_REQUIRED", "send the access token or the refresh token of the session to end")
	default:
		return ErrNoSession
	}
	now := s.clock.Now()
	if token != "" {
		if err := s.store.EndSessionOf(ctx, hashRefreshToken(token), now); err != nil {
			return fmt.Errorf("log out: %w", err)
		}
	}
	if who.SessionID == "" {
		return nil
	}
	if err := s.store.EndSession(ctx, who.SessionID, now); err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	return nil
}

// KeySet returns the public keys of access tokens, as a JWK set in JSON (RFC 7517).
func (s *Service) KeySet() []byte { return s.signer.KeySet() }

// credentials signs an access token. Its times are whole seconds, as in a JWT.
func (s *Service) credentials(session Session, of Account, refreshToken string, now time.Time) (Credentials, error) {
	issued := now.Truncate(time.Second)
	claims := Claims{
		ID: rand.Text(), Issuer: s.options.Issuer, Audience: Audience,
		AccountID: of.ID, SessionID: session.ID, Generation: session.Generation, Role: of.Role,
		IssuedAt: issued, ExpiresAt: issued.Add(s.options.AccessTTL),
	}
	signed, err := s.signer.Sign(claims)
	if err != nil {
		return Credentials{}, fmt.Errorf("sign access token: %w", err)
	}
	return Credentials{AccessToken: signed, RefreshToken: refreshToken, ExpiresAt: claims.ExpiresAt, Account: of}, nil
}

// Expired rows are stored for a while, so that a late client receives the true error. Each call deletes a limited
// number.
const (
	expiredRetention = 7 * 24 * time.Hour
	forgetAtOnce     = 100
)

func (s *Service) forget(ctx context.Context, now time.Time) error {
	if err := s.store.DeleteExpired(ctx, now.Add(-expiredRetention), forgetAtOnce); err != nil {
		return fmt.Errorf("forget old sessions: %w", err)
	}
	return nil
}
