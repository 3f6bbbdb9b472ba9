package obs_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluicehq/sluice/internal/obs"
)

// lines is a log that signals its first line.
type lines struct {
	mu    sync.Mutex
	text  bytes.Buffer
	first chan struct{}
	once  sync.Once
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.once.Do(func() { close(l.first) })
	return l.text.Write(line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// collector answers every export with the status that reply returns.
func collector(t *testing.T, reply func() error) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return reply() }))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func TestTracesFailedExportIsALogLine(t *testing.T) {
	t.Parallel()
	exports := make(chan struct{}, 10)
	addr := collector(t, func() error {
		exports <- struct{}{}
		return status.Error(codes.PermissionDenied, "no such tenant")
	})
	log := &lines{first: make(chan struct{})}
	tracing, err := obs.NewTracing(t.Context(), addr, 1, obs.NewLogger(log, slog.LevelInfo, "json"))
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracing.Start(t.Context(), "first")
	span.End()
	timeout := time.After(time.Minute)
	select {
	case <-exports: // host:port without a scheme reaches the collector
	case <-timeout:
		t.Fatal("nothing is exported")
	}
	select {
	case <-log.first:
	case <-timeout:
		t.Fatal("the failure is not logged")
	}
	_, span = tracing.Start(t.Context(), "second")
	span.End()
	if err := tracing.Shutdown(t.Context()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	text := log.String()
	if !strings.HasPrefix(text, `{"time":`) || !strings.Contains(text, "no such tenant") || strings.Count(text, "\n") != 1 {
		t.Errorf("the log is %s", text)
	}
}
