// Package testserver starts real servers for tests, each on 127.0.0.1 with a folder of its own,
// from the binaries on this machine.
//
// Where a binary is missing the test is skipped and says so, unless SLUICE_TEST_REQUIRE names the
// server (redis,postgres,nats): then it fails, so that a green run of CI proves that it ran.
package testserver

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary finds a program on PATH or in one of the folders; without it the test ends.
func binary(t testing.TB, server, name string, folders ...string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, pattern := range folders {
		found, err := filepath.Glob(filepath.Join(pattern, name))
		if err == nil && len(found) > 0 {
			slices.Sort(found)
			return found[len(found)-1]
		}
	}
	if slices.Contains(strings.Split(os.Getenv("SLUICE_TEST_REQUIRE"), ","), server) {
		t.Fatalf("%s is required, and there is no %s on this machine", server, name)
	}
	t.Skipf("SKIP: no %s on this machine", name)
	return ""
}

// FreePort gives a port on 127.0.0.1 that nobody listens on.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

const startTimeout = 30 * time.Second

// start runs the server until the test ends, and waits until it accepts connections on the port.
func start(t testing.TB, cmd *exec.Cmd, port string) {
	t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // PostgreSQL's fast shutdown
		<-ended
	})
	deadline := time.After(startTimeout)
	for {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended at once: %v\n%s", cmd.Path, err, output.String())
		case <-deadline:
			t.Fatalf("%s does not listen on port %s", cmd.Path, port)
		case <-time.After(20 * time.Millisecond): // between two looks at the port
		}
	}
}
