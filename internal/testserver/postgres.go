package testserver

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"
)

// Postgres is a PostgreSQL server for one test.
type Postgres struct {
	port      string
	command   func() *exec.Cmd
	stop      func()
	databases atomic.Int64
}

// Stop shuts the server down, until Restart.
func (p *Postgres) Stop() { p.stop() }

// Restart starts the server again on its port, with its data.
func (p *Postgres) Restart(t testing.TB) {
	t.Helper()
	p.stop = start(t, p.command(), p.port)
}

// StartPostgres starts a server that is stopped at the end of the test.
func StartPostgres(t testing.TB) *Postgres {
	t.Helper()
	initdb := binary(t, "postgres", "initdb", "/usr/lib/postgresql/*/bin")
	server := binary(t, "postgres", "postgres", "/usr/lib/postgresql/*/bin")
	owner := unprivileged(t)
	dir, err := os.MkdirTemp("", "sluice-postgres-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if owner != nil {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	run := func(path string, args ...string) *exec.Cmd {
		cmd := exec.Command(path, args...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
		return cmd
	}
	if out, err := run(initdb, "-D", dir, "-U", "sluice", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	p := &Postgres{port: FreePort(t)}
	p.command = func() *exec.Cmd {
		return run(server, "-D", dir, "-p", p.port, "-h", "127.0.0.1", "-k", dir, "-F", "-c", "max_connections=200")
	}
	p.Restart(t)
	return p
}

// unprivileged returns a user for the server when the test runs as root, which PostgreSQL refuses.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	t.Fatal("the test runs as root, and there is no user postgres or nobody to run PostgreSQL as")
	return nil
}

// NewDatabase creates an empty database and returns its DSN.
func (p *Postgres) NewDatabase(t testing.TB) string {
	t.Helper()
	admin, err := sql.Open("pgx", p.dsn("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	name := fmt.Sprintf("test_%d", p.databases.Add(1))
	for {
		_, err = admin.ExecContext(context.Background(), "CREATE DATABASE "+name)
		if err == nil {
			return p.dsn(name)
		}
		if !strings.Contains(err.Error(), "57P03") { // code 57P03: the server is starting
			t.Fatalf("create database: %v", err)
		}
	}
}

func (p *Postgres) dsn(database string) string {
	return "postgres://sluice@127.0.0.1:" + p.port + "/" + database + "?sslmode=disable"
}
