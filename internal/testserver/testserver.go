// Package testserver starts real servers for tests, each on 127.0.0.1 with its own folder, from the installed
// binaries. Without the binary the test is skipped, or fails if SLUICE_TEST_REQUIRE names the server
// (redis,postgres,nats).
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
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary finds a program on PATH or in one of the folders. It ends the test if there is none.
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

// The ports of servers. They are below the ephemeral ports, so that no other connection or listener occupies one.
const (
	lowestPort  = 10_000
	highestPort = 32_000
)

// FreePort returns a free port on 127.0.0.1, reserved for this test among all test processes.
func FreePort(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(lowestPort + rand.IntN(highestPort-lowestPort))
		at := net.JoinHostPort("127.0.0.1", port)
		reserved, err := net.ListenPacket("udp", at) // no server here uses UDP
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

// start runs the server until stop or the end of the test, and waits until it accepts connections on the port.
func start(t testing.TB, cmd *exec.Cmd, port string) (stop func()) {
	t.Helper()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // PostgreSQL's fast shutdown
		<-ended
	})
	t.Cleanup(stop)
	deadline := time.After(startTimeout)
	for {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
			return stop
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended at once: %v\n%s", cmd.Path, err, output.String())
		case <-deadline:
			t.Fatalf("%s does not listen on port %s", cmd.Path, port)
		case <-time.After(20 * time.Millisecond): // between two attempts to connect
		}
	}
}
