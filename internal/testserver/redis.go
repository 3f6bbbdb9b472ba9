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

// Redis is a Redis server of the test's own. It keeps nothing on disk.
type Redis struct {
	binary, dir, port string
	process           *os.Process
}

// StartRedis starts a server that ends with the test.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	r := &Redis{binary: binary(t, "redis", "redis-server", "/usr/sbin"), dir: t.TempDir(), port: FreePort(t)}
	r.Start(t)
	return r
}

// Addr is where the server listens, whether or not it runs: host:port.
func (r *Redis) Addr() string { return "127.0.0.1:" + r.port }

// URL is the same as redis://.
func (r *Redis) URL() string { return "redis://" + r.Addr() }

// Start starts the server again after Kill, on the same port and empty.
func (r *Redis) Start(t testing.TB) {
	t.Helper()
	cmd := exec.Command(r.binary, "--port", r.port, "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--appendonly", "no")
	start(t, cmd, r.port)
	r.process = cmd.Process
}

// Kill ends the server as a crash would, and waits until nobody listens.
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
		<-time.After(5 * time.Millisecond) // between two looks at the port
	}
}

// Hang stops the server from answering while its connections stay open.
func (r *Redis) Hang(t testing.TB) {
	t.Helper()
	r.signal(t, syscall.SIGSTOP)
	t.Cleanup(func() { _ = r.process.Signal(syscall.SIGCONT) }) // one that is stopped does not end
}

// GoOn lets a server that hangs answer again.
func (r *Redis) GoOn(t testing.TB) {
	t.Helper()
	r.signal(t, syscall.SIGCONT)
}

func (r *Redis) signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := r.process.Signal(signal); err != nil {
		t.Fatalf("signal redis-server: %v", err)
	}
}

// SleepingDials has goleak overlook what a client of Redis leaves when it is closed while its server is away:
// a goroutine that sleeps for up to a second before it sees that there is nothing to dial for.
func SleepingDials() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
}
