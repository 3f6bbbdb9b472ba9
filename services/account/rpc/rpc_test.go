package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/account"
	accountrpc "github.com/sluicehq/sluice/services/account/rpc"
	"github.com/sluicehq/sluice/services/account/signing"
	"github.com/sluicehq/sluice/services/account/store"
	accountv1 "github.com/sluicehq/sluice/services/gen/account/v1"
)

// environment is the whole service behind its contract.
type environment struct {
	accountv1.AccountsClient
	db    *sqldb.DB
	clock *clock.Manual
}

// build lets demo identities in. The store may be wrapped, to have it fail.
func build(t *testing.T, wrap func(account.Store) account.Store) environment {
	t.Helper()
	return buildWith(t, wrap, account.Options{Identities: map[string]account.IdentityProvider{
		account.DemoProvider: account.DemoIdentities{},
		"BROKEN":             broken{},
	}})
}

// broken is a provider that cannot be reached.
type broken struct{}

func (broken) Identify(context.Context, string) (account.Identity, error) {
	return account.Identity{}, errors.New("dial 10.0.0.1: refused")
}

func buildWith(t *testing.T, wrap func(account.Store) account.Store, options account.Options) environment {
	t.Helper()
	keys, err := signing.Open(t.Context(), &signing.Memory{}, signing.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := environment{
		db:    sqltest.OpenSQLite(t, store.Migrations()),
		clock: clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 250_000_000, time.UTC)),
	}
	var kept account.Store = store.New(h.db, accountrpc.EncodeAccount, accountrpc.EncodeAPIKey)
	if wrap != nil {
		kept = wrap(kept)
	}
	options.NoteWait = time.Minute // a slow disk must not decide what a test sees
	service := account.New(kept, keys, h.clock, options)
	calls := rpc.Options{Logger: slog.New(slog.DiscardHandler), Tracing: obs.NoTracing()}
	channel := rpc.NewChannel(calls, func(r grpc.ServiceRegistrar) { accountrpc.Register(r, service) })
	h.AccountsClient = accountv1.NewAccountsClient(rpc.Within(channel, calls))
	return h
}

// as gives a context on behalf of an account with all scopes of its role.
func as(t *testing.T, a *accountv1.Account) context.Context {
	t.Helper()
	role := caller.Role(strings.TrimPrefix(a.GetRole().String(), "ROLE_"))
	return caller.NewContext(t.Context(), caller.Caller{AccountID: a.GetId(), Role: role, Scopes: caller.ScopesOf(role)})
}

// asKey gives a context on behalf of an API key.
func asKey(t *testing.T, k *accountv1.ApiKey) context.Context {
	t.Helper()
	role := caller.Role(strings.TrimPrefix(k.GetRole().String(), "ROLE_"))
	return caller.NewContext(t.Context(), caller.Caller{AccountID: k.GetAccountId(), APIKeyID: k.GetId(), Role: role, Scopes: k.GetScopes()})
}

func asSystem(t *testing.T) context.Context {
	t.Helper()
	return caller.NewContext(t.Context(), caller.OfSystem())
}

func (h environment) login(t *testing.T, code string) *accountv1.Session {
	t.Helper()
	session, err := h.Login(t.Context(), &accountv1.LoginRequest{Provider: "DEMO", Code: code})
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func refused(t *testing.T, err error, code errs.Code, reason string) {
	t.Helper()
	if e := errs.From(err); e == nil || e.Code != code || e.Reason != reason || e.Service != "account" {
		t.Errorf("got %+v, want %s %s", e, code, reason)
	}
}

func (h environment) events(t *testing.T) []sqldb.Event {
	t.Helper()
	events, err := h.db.PendingEvents(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func ensure(subject string) *accountv1.EnsureAccountRequest {
	return &accountv1.EnsureAccountRequest{Provider: "IMPORT", Subject: subject, Name: "Driver", Role: accountv1.Role_ROLE_MEMBER}
}

func TestTheSystemEnsuresAccounts(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	made, err := h.EnsureAccount(asSystem(t), ensure("driver 1"))
	if err != nil || made.GetName() != "Driver" || made.GetRole() != accountv1.Role_ROLE_MEMBER || made.GetVersion() != 1 ||
		!made.GetCreatedAt().AsTime().Equal(h.clock.Now()) || ids.Check(ids.Account, made.GetId()) != nil {
		t.Fatalf("%v, %v", made, err)
	}
	again, err := h.EnsureAccount(asSystem(t), ensure("driver 1"))
	if err != nil || again.GetId() != made.GetId() {
		t.Errorf("%v, %v", again, err)
	}
	_, err = h.EnsureAccount(as(t, h.login(t, "admin").GetAccount()), ensure("driver 2"))
	refused(t, err, errs.PermissionDenied, errs.ReasonNotAllowed)
	_, err = h.EnsureAccount(t.Context(), ensure("driver 2"))
	refused(t, err, errs.Unauthenticated, "SIGN_IN_REQUIRED")
}

func TestBadIdentitiesAreRefused(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	for name, spoil := range map[string]func(*accountv1.EnsureAccountRequest){
		"provider: empty":         func(r *accountv1.EnsureAccountRequest) { r.Provider = "" },
		"provider: lower case":    func(r *accountv1.EnsureAccountRequest) { r.Provider = "import" },
		"subject: empty":          func(r *accountv1.EnsureAccountRequest) { r.Subject = "" },
		"subject: long":           func(r *accountv1.EnsureAccountRequest) { r.Subject = strings.Repeat("x", 256) },
		"subject: with a newline": func(r *accountv1.EnsureAccountRequest) { r.Subject = "a\nb" },
		"name: blank":             func(r *accountv1.EnsureAccountRequest) { r.Name = " " },
		"name: long":              func(r *accountv1.EnsureAccountRequest) { r.Name = strings.Repeat("é", 201) },
		"name: with a NUL":        func(r *accountv1.EnsureAccountRequest) { r.Name = "a\x00" },
		"role: none":              func(r *accountv1.EnsureAccountRequest) { r.Role = 0 },
		"role: unknown":           func(r *accountv1.EnsureAccountRequest) { r.Role = 9 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := ensure("driver 1")
			spoil(request)
			_, err := h.EnsureAccount(asSystem(t), request)
			refused(t, err, errs.InvalidArgument, errs.ReasonInvalidField)
			if field, _, _ := strings.Cut(name, ":"); !strings.HasPrefix(fmt.Sprint(err), field+": ") {
				t.Errorf("%v does not name %s", err, field)
			}
		})
	}
}

func TestMembersSeeThemselvesAndStaffEverybody(t *testing.T) {
	t.Parallel()
	h := build(t, nil)
	alice, bob, operator := h.login(t, "alice").GetAccount(), h.login(t, "bob").GetAccount(), h.login(t, "operator").GetAccount()
	wanted := []string{alice.GetId(), bob.GetId(), alice.GetId(), ids.New(ids.Account), ids.New(ids.Trip), "nonsense"}
	for name, c := range map[string]struct {
		ctx  context.Context
		want []string
	}{
		"a member":   {as(t, alice), []string{alice.GetId()}},
		"the staff":  {as(t, operator), []string{alice.GetId(), bob.GetId()}},
		"the system": {asSystem(t), []string{alice.GetId(), bob.GetId()}},
	} {
		got, err := h.BatchGetAccounts(c.ctx, &accountv1.BatchGetRequest{Ids: wanted})
		var seen []string
		for _, a := range got.GetAccounts() {
			seen = append(seen, a.GetId())
		}
		slices.Sort(seen)
		slices.Sort(c.want)
		if err != nil || !slices.Equal(seen, c.want) {
			t.Errorf("%s sees %v, %v", name, seen, err)
		}
	}
	_, err := h.BatchGetAccounts(t.Context(), &accountv1.BatchGetRequest{Ids: wanted})
	refused(t, err, errs.Unauthenticated, "SIGN_IN_REQUIRED")
	_, err = h.BatchGetAccounts(as(t, operator), &accountv1.BatchGetRequest{Ids: make([]string, 1001)})
	refused(t, err, errs.InvalidArgument, errs.ReasonInvalidField)
}
