package auth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/auth"
	bffrpc "github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/rpc"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/internal/sqldb/sqltest"
	"github.com/sluicehq/sluice/services/account"
	accountrpc "github.com/sluicehq/sluice/services/account/rpc"
	"github.com/sluicehq/sluice/services/account/signing"
	accountstore "github.com/sluicehq/sluice/services/account/store"
)

const issuer = "https://sluice.test"

// fixture is an Authenticator before a real account service.
type fixture struct {
	auth     *auth.Authenticator
	accounts bff.Accounts
	clock    *clock.Manual
	db       *sqldb.DB
	keys     *signing.Memory
	conn     *countingConn
}

func open(t *testing.T) *fixture {
	t.Helper()
	h := &fixture{
		clock: clock.NewManual(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)),
		db:    sqltest.OpenSQLite(t, accountstore.Migrations()), keys: &signing.Memory{},
		conn: &countingConn{calls: map[string]int{}},
	}
	h.start(t)
	h.accounts = bffrpc.NewAccounts(h.conn)
	h.auth = auth.New(h.accounts, issuer, h.clock)
	return h
}

func calls() rpc.Options {
	return rpc.Options{Logger: slog.New(slog.DiscardHandler), Tracing: obs.NoTracing()}
}

// start runs the account service with the keys that are in its folder now.
func (h *fixture) start(t *testing.T) {
	t.Helper()
	signer, err := signing.Open(t.Context(), h.keys, signing.Options{Clock: h.clock})
	if err != nil {
		t.Fatal(err)
	}
	service := account.New(accountstore.New(h.db, accountrpc.EncodeAccount, accountrpc.EncodeAPIKey), signer, h.clock, account.Options{
		Issuer:     issuer,
		Identities: map[string]account.IdentityProvider{account.DemoProvider: account.DemoIdentities{}},
	})
	h.conn.redirect(rpc.Within(rpc.NewChannel(calls(), func(r grpc.ServiceRegistrar) { accountrpc.Register(r, service) }), calls()))
}

// stop takes the account service away.
func (h *fixture) stop(t *testing.T) {
	t.Helper()
	conn, err := rpc.Dial("127.0.0.1:1", calls())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	h.conn.redirect(conn)
}

func (h *fixture) signIn(t *testing.T, code string) *bff.Session {
	t.Helper()
	session, err := h.accounts.Login(t.Context(), bff.LoginInput{Provider: "DEMO", Code: code})
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// giveRole changes what an account is trusted with; there is no call for that.
func (h *fixture) giveRole(t *testing.T, name string, role caller.Role) {
	t.Helper()
	err := h.db.Write(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE accounts SET role = $1 WHERE lower(name) = $2`, string(role), name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// countingConn counts calls, and its target can be replaced.
type countingConn struct {
	mu    sync.Mutex
	conn  grpc.ClientConnInterface
	calls map[string]int // by method
}

func (l *countingConn) redirect(conn grpc.ClientConnInterface) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
}

func (l *countingConn) count(method string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[method]
}

func (l *countingConn) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	l.mu.Lock()
	l.calls[method[strings.LastIndexByte(method, '/')+1:]]++
	conn := l.conn
	l.mu.Unlock()
	return conn.Invoke(ctx, method, request, reply, options...)
}

func (l *countingConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	return l.conn.NewStream(ctx, desc, method, options...)
}

func unknownKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func kidOf(key *rsa.PublicKey) string { return signing.Thumbprint(key) }
