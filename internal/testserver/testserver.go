// Package testserver starts real servers for tests, each on 127.0.0.1 with a folder of its own,
// from the binaries on this machine.
//
// Where a binary is missing the test is skipped and says so, unless SLUICE_TEST_REQUIRE names the
// server (redis,postgres,nats): then it fails, so that a green run of CI proves that it ran.
package testserver

import (
	"bytes"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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

// Ports that are given to servers: below those that the system takes for connections, and for whoever
// listens at port 0, so that nobody has taken one before its server is there.
const (
	lowestPort  = 10_000
	highestPort = 32_000
)

// FreePort gives a port on 127.0.0.1 that nobody listens on, and that no other test, of this process or
// of another, is given before this one has ended.
func FreePort(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(lowestPort + rand.IntN(highestPort-lowestPort))
		at := net.JoinHostPort("127.0.0.1", port)
		reserved, err := net.ListenPacket("udp", at) // nothing here speaks UDP
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", at)
		if err != nil {
			_ = reserved.Close()
			continue
		}
		_ = l.Close()
		t.Cleanup(func() { _ = reserved.Close() })
		return port
	}
	t.Fatal("there is no free port")
	return ""
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
