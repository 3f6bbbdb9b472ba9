package harness

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// StartNATS starts a NATS server, and returns the settings by which programs use it.
func StartNATS(t *testing.T) []string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(Timeout) {
		t.Fatal("the NATS server is not ready")
	}
	return []string{"--nats-url", s.ClientURL()}
}
