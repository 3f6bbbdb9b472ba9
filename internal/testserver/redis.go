package testserver

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Redis is a Redis server for one test, without persistence.
type Redis struct {
	binary, dir, port string
	process           *os.Process
}

// StartRedis starts a server that is stopped at the end of the test.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	r := &Redis{binary: binary(t, "redis", "redis-server", "/usr/sbin"), dir: t.TempDir(), port: FreePort(t)}
	r.Start(t)
	return r
}

// Addr returns host:port of the server, running or not.
func (r *Redis) Addr() string { return "127.0.0.1:" + r.port }

// URL returns Addr as a redis:// URL.
func (r *Redis) URL() string { return "redis://" + r.Addr() }

// Start restarts the server after Kill, on its port and empty.
func (r *Redis) Start(t testing.TB) {
	t.Helper()
	cmd := exec.Command(r.binary, "--port", r.port, "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--appendonly", "no")
	start(t, cmd, r.port)
	r.process = cmd.Process
}

// Kill kills the server, and waits until its port is closed.
func (r *Redis) Kill(t testing.TB) {
	t.Helper()
	r.signal(t, syscall.SIGKILL)
	for deadline := time.Now().Add(startTimeout); ; {
		conn, err := net.Dial("tcp", r.Addr())
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("redis-server listens although it was killed")
		}
		<-time.After(5 * time.Millisecond) // between two attempts to connect
	}
}

// Hang suspends the server, while its connections stay open.
func (r *Redis) Hang(t testing.TB) {
	t.Helper()
	r.signal(t, syscall.SIGSTOP)
	t.Cleanup(func() { _ = r.process.Signal(syscall.SIGCONT) }) // a suspended process cannot be stopped
}

// Resume continues a suspended server.
func (r *Redis) Resume(t testing.TB) {
	t.Helper()
	r.signal(t, syscall.SIGCONT)
}

func (r *Redis) signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := r.process.Signal(signal); err != nil {
		t.Fatalf("signal redis-server: %v", err)
	}
}

// SleepingDials has goleak ignore the goroutine of a Redis client that was closed while its server was away: it
// sleeps up to a second before it ends.
func SleepingDials() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
}
