package harness

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Timeout bounds every wait for the program; reaching it fails the test.
const Timeout = time.Minute

// Program is a running sluice process: all parts of Sluice or one of them.
type Program struct {
	URL    string // of the gateway, without a trailing slash
	Addr   string // of the listener: host:port
	APIKey string // the demo's

	Cmd            *exec.Cmd
	Stdout, Stderr *Output
	ended          chan struct{} // closed when the process has ended
}

// Start runs the program until the test ends. It returns when the program is ready.
func Start(t *testing.T, args ...string) *Program {
	t.Helper()
	p := Launch(t, args...)
	t.Cleanup(p.Close)
	p.AwaitReady(t)
	return p
}

// Launch runs the program. The caller must end it.
func Launch(t *testing.T, args ...string) *Program {
	t.Helper()
	return LaunchCommand(t, Command(context.Background(), args...))
}

// LaunchCommand runs a command that is a sluice program. The caller must end it.
func LaunchCommand(t *testing.T, cmd *exec.Cmd) *Program {
	t.Helper()
	p := &Program{Cmd: cmd, Stdout: NewOutput(), Stderr: NewOutput(), ended: make(chan struct{})}
	p.Cmd.Stdout, p.Cmd.Stderr = p.Stdout, p.Stderr
	if err := p.Cmd.Start(); err != nil {
		t.Fatalf("start the program: %v", err)
	}
	go func() {
		defer close(p.ended)
		_ = p.Cmd.Wait() // the exit code is in cmd.ProcessState
	}()
	return p
}

// testSettings are for a program on a busy machine that receives requests as fast as the tests can send them. Flags
// of a test take precedence.
var testSettings = []string{
	"SLUICE_MQTT_ADDR=127.0.0.1:0",
	"SLUICE_QUOTA_ACCOUNT_POINTS=" + unlimited, "SLUICE_QUOTA_ANONYMOUS_POINTS=" + unlimited,
	"SLUICE_ABUSE_FAILURES=" + unlimited, "SLUICE_ABUSE_REPEATS=" + unlimited,
	"SLUICE_OVERLOAD_QUEUE_TIME=0s", // load shedding depends on the machine, too
	"SLUICE_HTTP_REQUEST_TIMEOUT=30s", "SLUICE_CALL_TIMEOUT=15s", "SLUICE_REDIS_TIMEOUT=2s",
	"OTEL_BSP_MAX_QUEUE_SIZE=100000", // spans in the export queue; a full queue drops spans
}

// unlimited is a budget, in points per minute or in failures, that no test exceeds.
const unlimited = "1000000000"

// Command is the program with the arguments. It does not inherit SLUICE_ variables of the test's environment.
func Command(ctx context.Context, args ...string) *exec.Cmd {
	return CommandOf(ctx, suite.binary, args...)
}

// CommandOf is another build of the program with the arguments.
func CommandOf(ctx context.Context, binary string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "SLUICE_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, testSettings...)
	if len(args) > 0 && args[0] == "gateway" { // gateways of an installation share their keys
		cmd.Env = append(cmd.Env, "SLUICE_DATA="+filepath.Join(suite.folder, "gateways"))
	}
	return cmd
}

// The lines that a program prints when it is ready.
var (
	gatewayReady = regexp.MustCompile(`(?s)Sluice is ready\..*GraphQL +(http://(\S+))/graphql\n.*Stop it with Ctrl-C\.\n`)
	serviceReady = regexp.MustCompile(`the \w+ service answers gRPC at (\S+)\n`)
	apiKeyShown  = regexp.MustCompile(`X-API-Key: (sluice_\w+)\n`)
)

// AwaitReady waits until the program has printed that it is ready, and reads its addresses.
func (p *Program) AwaitReady(t *testing.T) {
	t.Helper()
	said := p.AwaitOutput(t, p.Stdout, regexp.MustCompile(gatewayReady.String()+"|"+serviceReady.String()))
	if found := serviceReady.FindStringSubmatch(said); found != nil {
		p.Addr = found[1]
		return
	}
	found := gatewayReady.FindStringSubmatch(said)
	p.URL, p.Addr = found[1], found[2]
	if key := apiKeyShown.FindStringSubmatch(said); key != nil {
		p.APIKey = key[1]
	}
}

// AwaitOutput waits until the output matches the pattern, and returns the output so far.
func (p *Program) AwaitOutput(t *testing.T, from *Output, pattern *regexp.Regexp) string {
	t.Helper()
	deadline := time.After(Timeout)
	for {
		said, more := from.Snapshot()
		if pattern.MatchString(said) {
			return said
		}
		select {
		case <-more:
		case <-p.ended:
			t.Fatalf("the program ended before it printed %v:\n%s%s", pattern, p.Stdout, p.Stderr)
		case <-deadline:
			t.Fatalf("the program did not print %v:\n%s%s", pattern, p.Stdout, p.Stderr)
		}
	}
}

// Close kills the program if it still runs, and waits for its end.
func (p *Program) Close() {
	_ = p.Cmd.Process.Kill() // it may have ended already
	<-p.ended
}

// Kill ends the program with SIGKILL, as a crash would.
func (p *Program) Kill(t *testing.T) {
	t.Helper()
	if err := p.Cmd.Process.Kill(); err != nil {
		t.Fatalf("kill the program: %v", err)
	}
	<-p.ended
}

// Stop sends the signal, waits for the end of the program and returns its exit code.
func (p *Program) Stop(t *testing.T, signal os.Signal) int {
	t.Helper()
	if err := p.Cmd.Process.Signal(signal); err != nil {
		t.Fatalf("send %v: %v", signal, err)
	}
	return p.ExitCode(t)
}

// ExitCode waits for the end of the program and returns its exit code.
func (p *Program) ExitCode(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(Timeout):
		t.Fatalf("the program did not end in %v:\n%s", Timeout, p.Stderr)
	}
	return p.Cmd.ProcessState.ExitCode()
}

// StopCleanly stops the program with SIGTERM and checks that its exit code is 0.
func (p *Program) StopCleanly(t *testing.T) {
	t.Helper()
	if code := p.Stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("the program ended with %d:\n%s", code, p.Stderr)
	}
}

// Result is the output and the exit code of a command.
type Result struct {
	Code           int
	Stdout, Stderr string
	State          *os.ProcessState
}

// Run runs a command until it ends.
func Run(t *testing.T, args ...string) Result {
	t.Helper()
	return RunWithEnv(t, nil, args...)
}

// RunWithEnv runs a command until it ends, with extra environment variables as NAME=value.
func RunWithEnv(t *testing.T, variables []string, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*Timeout)
	defer cancel()
	cmd := Command(ctx, args...)
	cmd.Env = append(cmd.Env, variables...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited || ctx.Err() != nil {
		t.Fatalf("run sluice %v: %v\n%s", args, errors.Join(err, ctx.Err()), stderr.String())
	}
	return Result{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String(), State: cmd.ProcessState}
}

// MustRun runs a command, checks that its exit code is 0 and returns its standard output.
func MustRun(t *testing.T, args ...string) string {
	t.Helper()
	o := Run(t, args...)
	if o.Code != 0 {
		t.Fatalf("sluice %v ended with %d:\n%s%s", args, o.Code, o.Stdout, o.Stderr)
	}
	return o.Stdout
}

// Output records the output of a process. Readers can wait for more.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed by the next write
}

// NewOutput returns an empty Output.
func NewOutput() *Output { return &Output{more: make(chan struct{})} }

// Write appends output of the process.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(p)
}

// Snapshot returns the output so far, and a channel that the next write closes.
func (o *Output) Snapshot() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.more
}

// String returns the output so far.
func (o *Output) String() string {
	text, _ := o.Snapshot()
	return text
}

// Dial opens a WebSocket to the gateway, with a read deadline of Timeout. It is closed when the test ends.
func (p *Program) Dial(t *testing.T, header http.Header) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, HandshakeTimeout: Timeout}
	conn, _, err := dialer.DialContext(t.Context(), "ws://"+p.Addr+"/graphql", header)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(Timeout))
	return conn
}
