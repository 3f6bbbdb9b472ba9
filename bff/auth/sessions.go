package auth

import (
	"context"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
)

const (
	sessionTTL     = 800 * time.Millisecond // how long a session that was checked is not checked again
	checkWait      = time.Second            // how long a known session waits for a check before it is accepted without
	checkPause     = time.Second            // no check of a known session for so long after one that failed
	callTimeout    = 5 * time.Second
	watchTTL       = 3 * time.Second
	maxChecked     = 1000 // sessions in one call; the account service has the same limit
	defaultEntries = 10_000
)

// sessions knows which sessions have ended. Each session in use is checked with the account service once per sessionTTL,
// and concurrent requests share one call. It starts no goroutine.
type sessions struct {
	accounts bff.Accounts
	clock    clock.Clock
	known    *otter.Cache[string, session] // by id

	mu         sync.Mutex
	running    *sessionBatch     // its call has started
	next       *sessionBatch     // collects sessions until the call of running has ended
	quietUntil time.Time         // after a failed call
	watched    map[Session]watch // with generation 0
}

// session is the state of a session at a check.
type session struct {
	role       caller.Role
	generation int64 // of the newest access token that was reported
	checked    time.Time
	ended      bool // for good
}

// sessionBatch is one call for several sessions.
type sessionBatch struct {
	uses map[string]bff.SessionUse // by session
	done chan struct{}             // closed when the call has ended
	err  error
}

// Session is the session of a connection, as the access token of its caller states it.
type Session struct {
	ID         string // "" for other credentials
	Role       caller.Role
	Generation int64
}

// SessionOf returns the session of a caller.
func SessionOf(who caller.Caller) Session { return Session{who.SessionID, who.Role, who.Generation} }

type watch struct {
	generation int64
	until      time.Time
}

func newSessions(accounts bff.Accounts, clk clock.Clock, entries int) *sessions {
	if entries <= 0 {
		entries = defaultEntries
	}
	return &sessions{accounts: accounts, clock: clk, watched: map[Session]watch{}, known: otter.Must(&otter.Options[string, session]{
		MaximumSize: entries, Executor: func(evict func()) { evict() },
	})}
}

// check refuses a caller whose session has ended, or whose account has another role than the access token. While the
// account service does not respond, a session that was checked before is accepted; another one is UNAVAILABLE.
func (s *sessions) check(ctx context.Context, who caller.Caller) error {
	if who.SessionID == "" {
		return refused("TOKEN_INVALID", "the access token is not valid")
	}
	known, found := s.known.GetIfPresent(who.SessionID)
	if found && (known.ended || s.isFresh(known, who)) {
		return known.verdict(who)
	}
	if found && s.isQuiet() {
		return known.verdict(who)
	}
	batch, leads := s.join(bff.SessionUse{SessionID: who.SessionID, Generation: who.Generation})
	if leads {
		s.call(ctx, batch)
	}
	err := s.wait(ctx, batch, found)
	if checked, ok := s.known.GetIfPresent(who.SessionID); ok && (err == nil || found) {
		return checked.verdict(who)
	}
	if err == nil { // evicted at once: the cache is too small for the sessions in use
		err = errs.New(errs.Unavailable, errs.ReasonServiceDown, "the session was not checked in time")
	}
	return err
}

func (s *sessions) isFresh(known session, who caller.Caller) bool {
	return known.generation >= who.Generation && s.clock.Now().Sub(known.checked) < sessionTTL
}

func (s *sessions) isQuiet() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock.Now().Before(s.quietUntil)
}

func (known session) verdict(who caller.Caller) error {
	switch {
	case known.ended:
		return refused("SESSION_ENDED", "this session has ended: sign in again")
	case known.role != who.Role:
		return refused("TOKEN_EXPIRED", "the role of the account has changed: refresh the session")
	}
	return nil
}

// join adds the session to the next call. The first one that joins a call leads it.
func (s *sessions) join(use bff.SessionUse) (batch *sessionBatch, leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil || len(s.next.uses) >= maxChecked {
		s.next = &sessionBatch{uses: map[string]bff.SessionUse{}, done: make(chan struct{})}
		leads = true
	}
	if other, ok := s.next.uses[use.SessionID]; !ok || other.Generation < use.Generation {
		s.next.uses[use.SessionID] = use
	}
	return s.next, leads
}

// call waits until the running call has ended, and then makes the call of the batch. The batch always ends.
func (s *sessions) call(ctx context.Context, batch *sessionBatch) {
	ctx, cancel := context.WithTimeout(caller.NewContext(context.WithoutCancel(ctx), caller.Caller{}), callTimeout) // it is for all that have joined
	defer cancel()
	s.mu.Lock()
	before := s.running
	s.mu.Unlock()
	if before != nil {
		<-before.done
	}
	s.mu.Lock()
	if s.next == batch {
		s.next = nil
	}
	s.running = batch
	s.mu.Unlock()
	defer close(batch.done)
	batch.err = s.fetch(ctx, batch.uses)
}

// fetch checks the sessions, at most maxChecked, and stores what the service says.
func (s *sessions) fetch(ctx context.Context, uses map[string]bff.SessionUse) error {
	started := s.clock.Now()
	all := make([]bff.SessionUse, 0, len(uses))
	for _, use := range uses {
		all = append(all, use)
	}
	live, err := s.accounts.CheckSessions(ctx, all)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.quietUntil = s.clock.Now().Add(checkPause)
		return err
	}
	for id, use := range uses {
		role, lives := live[id]
		known, _ := s.known.GetIfPresent(id)
		if known.ended {
			continue // an event said so while the call was running
		}
		s.known.Set(id, session{role: caller.Role(role), generation: max(known.generation, use.Generation), checked: started, ended: !lives})
	}
	return nil
}

// wait waits for the call, and for a session that is known for a limited time.
func (s *sessions) wait(ctx context.Context, batch *sessionBatch, known bool) error {
	late := make(<-chan time.Time)
	if known {
		timer := time.NewTimer(checkWait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-batch.done:
		return batch.err
	case <-late:
		s.mu.Lock()
		s.quietUntil = s.clock.Now().Add(checkPause)
		s.mu.Unlock()
		return errs.New(errs.Unavailable, errs.ReasonServiceDown, "the session was not checked in time")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end refuses the session from now on.
func (s *sessions) end(id string) {
	if id == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known.Set(id, session{ended: true, checked: s.clock.Now()})
}

// EndSession refuses the access tokens of a session that has ended, without a call.
func (a *Authenticator) EndSession(id string) { a.sessions.end(id) }

// Watch has the session of a connection checked by Recheck for some seconds. A connection calls it again and again.
func (a *Authenticator) Watch(of Session) {
	if of.ID == "" {
		return
	}
	s := a.sessions
	s.mu.Lock()
	defer s.mu.Unlock()
	w := watch{of.Generation, s.clock.Now().Add(watchTTL)}
	of.Generation = 0
	s.watched[of] = w
}

// Recheck checks the sessions that are watched, and returns those whose connections must end: the session has ended, or
// the role of its account has changed. A check that fails is repeated by the next call.
func (a *Authenticator) Recheck(ctx context.Context) (ended []string) {
	s := a.sessions
	for _, uses := range s.watchedUses() {
		_ = s.fetch(caller.NewContext(ctx, caller.Caller{}), uses)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for of := range s.watched {
		known, found := s.known.GetIfPresent(of.ID)
		if found && (known.ended || known.role != of.Role) {
			ended = append(ended, of.ID)
			delete(s.watched, of)
		}
	}
	return ended
}

// watchedUses returns the watched sessions in parts of one call each, and forgets those that nobody watches any more.
func (s *sessions) watchedUses() []map[string]bff.SessionUse {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts []map[string]bff.SessionUse
	now := s.clock.Now()
	for of, w := range s.watched {
		if now.After(w.until) {
			delete(s.watched, of)
			continue
		}
		if len(parts) == 0 || len(parts[len(parts)-1]) >= maxChecked {
			parts = append(parts, map[string]bff.SessionUse{})
		}
		parts[len(parts)-1][of.ID] = bff.SessionUse{SessionID: of.ID, Generation: w.generation}
	}
	return parts
}
