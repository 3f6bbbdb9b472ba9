package testserver

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// NATS is a NATS server with JetStream for one test.
type NATS struct {
	binary, dir, port string
	process           *os.Process
}

// StartNATS starts a server that is stopped at the end of the test.
func StartNATS(t testing.TB) *NATS {
	t.Helper()
	n := &NATS{binary: binary(t, "nats", "nats-server", "/usr/sbin"), dir: t.TempDir(), port: FreePort(t)}
	config := fmt.Sprintf("listen: 127.0.0.1:%s\njetstream { store_dir: %q, max_mem: 64MB, max_file: 8GB }\n", n.port, n.dir)
	if err := os.WriteFile(n.config(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	n.Start(t)
	return n
}

func (n *NATS) config() string { return filepath.Join(n.dir, "nats.conf") }

// URL returns the address of the server, running or not.
func (n *NATS) URL() string { return "nats://127.0.0.1:" + n.port }

// Start restarts the server after Kill, with its port and stored data.
func (n *NATS) Start(t testing.TB) {
	t.Helper()
	cmd := exec.Command(n.binary, "-c", n.config())
	start(t, cmd, n.port)
	n.process = cmd.Process
}

// Kill kills the server, and waits until its port is closed.
func (n *NATS) Kill(t testing.TB) {
	t.Helper()
	if err := n.process.Kill(); err != nil {
		t.Fatalf("kill nats-server: %v", err)
	}
	for deadline := time.Now().Add(startTimeout); ; {
		conn, err := net.Dial("tcp", "127.0.0.1:"+n.port)
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("nats-server listens although it was killed")
		}
		<-time.After(5 * time.Millisecond) // between two attempts to connect
	}
}
