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

// Timeout bounds every wait for the program. It is no claim about speed: a test that needs it all
// has failed.
const Timeout = time.Minute

// Program is a Sluice, or a part of one, in a process of its own.
type Program struct {
	URL    string // of the gateway, without a slash at its end
	Addr   string // where it listens: host:port
	APIKey string // the demo's

	Cmd            *exec.Cmd
	Stdout, Stderr *Output
	ended          chan struct{} // closed when the process is gone
}

// Start runs the program until the test ends, and returns when it says that it is ready.
func Start(t *testing.T, args ...string) *Program {
	t.Helper()
	p := Launch(t, args...)
	t.Cleanup(p.Close)
	p.AwaitReady(t)
	return p
}

// Launch runs the program; the caller must end it.
func Launch(t *testing.T, args ...string) *Program {
	t.Helper()
	p := &Program{Cmd: Command(context.Background(), args...), Stdout: NewOutput(), Stderr: NewOutput(), ended: make(chan struct{})}
	p.Cmd.Stdout, p.Cmd.Stderr = p.Stdout, p.Stderr
	if err := p.Cmd.Start(); err != nil {
		t.Fatalf("start the program: %v", err)
	}
	go func() {
		defer close(p.ended)
		_ = p.Cmd.Wait() // how it ended is in cmd.ProcessState
	}()
	return p
}

// unhurried are settings for a program that shares its machine with many others, and is asked by tests
// as often and as fast as they can. Whoever tests one of them says so by a flag, which goes before.
var unhurried = []string{
	"SLUICE_MQTT_ADDR=127.0.0.1:0",
	"SLUICE_QUOTA_ACCOUNT_POINTS=" + plenty, "SLUICE_QUOTA_ANONYMOUS_POINTS=" + plenty,
	"SLUICE_CONDUCT_FAILURES=" + plenty, "SLUICE_CONDUCT_REPEATS=" + plenty,
	"SLUICE_OVERLOAD_QUEUE_TIME=0s", // which is about the machine, too
	"SLUICE_HTTP_REQUEST_TIMEOUT=30s", "SLUICE_CALL_TIMEOUT=15s", "SLUICE_REDIS_TIMEOUT=2s",
	"OTEL_BSP_MAX_QUEUE_SIZE=100000", // spans that wait to be sent, of which those beyond are lost
}

// plenty is a budget that no test spends: so many points a minute, so many times.
const plenty = "1000000000"

// Command is the program with these arguments, free of the settings of whoever runs the test.
func Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, suite.binary, args...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "SLUICE_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, unhurried...)
	if len(args) > 0 && args[0] == "gateway" { // gateways of an installation share their keys
		cmd.Env = append(cmd.Env, "SLUICE_DATA="+filepath.Join(suite.folder, "gateways"))
	}
	return cmd
}

// What a program says when it is ready.
var (
	gatewayReady = regexp.MustCompile(`(?s)Sluice is ready\..*GraphQL +(http://(\S+))/graphql\n.*Stop it with Ctrl-C\.\n`)
	serviceReady = regexp.MustCompile(`the \w+ service answers gRPC at (\S+)\n`)
	apiKeyShown  = regexp.MustCompile(`X-API-Key: (sluice_\w+)\n`)
)

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

// AwaitOutput waits until the program has written what the pattern matches, and gives all that it wrote.
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
			t.Fatalf("the program ended before it said %v:\n%s%s", pattern, p.Stdout, p.Stderr)
		case <-deadline:
			t.Fatalf("the program did not say %v:\n%s%s", pattern, p.Stdout, p.Stderr)
		}
	}
}

// Close kills the program if it still runs, and waits until it is gone.
func (p *Program) Close() {
	_ = p.Cmd.Process.Kill() // it may be gone already
	<-p.ended
}

// Kill ends the program as a crash would.
func (p *Program) Kill(t *testing.T) {
	t.Helper()
	if err := p.Cmd.Process.Kill(); err != nil {
		t.Fatalf("kill the program: %v", err)
	}
	<-p.ended
}

// Stop asks the program to end, and gives its exit code.
func (p *Program) Stop(t *testing.T, signal os.Signal) int {
	t.Helper()
	if err := p.Cmd.Process.Signal(signal); err != nil {
		t.Fatalf("send %v: %v", signal, err)
	}
	return p.ExitCode(t)
}

// ExitCode waits for the end of a program that was told to end.
func (p *Program) ExitCode(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(Timeout):
		t.Fatalf("the program did not end in %v:\n%s", Timeout, p.Stderr)
	}
	return p.Cmd.ProcessState.ExitCode()
}

// StopCleanly ends the program and wants it to say that all went well.
func (p *Program) StopCleanly(t *testing.T) {
	t.Helper()
	if code := p.Stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("the program ended with %d:\n%s", code, p.Stderr)
	}
}

// Result is what a command left.
type Result struct {
	Code           int
	Stdout, Stderr string
	State          *os.ProcessState
}

// Run runs a command to its end.
func Run(t *testing.T, args ...string) Result {
	t.Helper()
	return RunWithEnv(t, nil, args...)
}

// RunWithEnv runs a command to its end, with these variables, as in NAME=value.
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

// MustRun runs a command that has to end well, and gives what it printed.
func MustRun(t *testing.T, args ...string) string {
	t.Helper()
	o := Run(t, args...)
	if o.Code != 0 {
		t.Fatalf("sluice %v ended with %d:\n%s%s", args, o.Code, o.Stdout, o.Stderr)
	}
	return o.Stdout
}

// Output keeps what a process writes, and lets others wait for more.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed by the next write
}

func NewOutput() *Output { return &Output{more: make(chan struct{})} }

// Write takes what the process wrote.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(p)
}

func (o *Output) Snapshot() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.more
}

// String is all that was written so far.
func (o *Output) String() string {
	text, _ := o.Snapshot()
	return text
}

// Dial opens a WebSocket whose frames are waited for with patience. It is closed when the test ends.
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
