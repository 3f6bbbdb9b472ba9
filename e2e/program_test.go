package e2e

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

// patience bounds every wait for the program. It is no claim about speed: a test that needs it all
// has failed.
const patience = time.Minute

// program is a Sluice, or a part of one, in a process of its own.
type program struct {
	URL    string // of the gateway, without a slash at its end
	Addr   string // where it listens: host:port
	APIKey string // the demo's

	cmd            *exec.Cmd
	stdout, stderr *output
	ended          chan struct{} // closed when the process is gone
}

// start runs the program until the test ends, and returns when it says that it is ready.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	p := launch(t, args...)
	t.Cleanup(p.end)
	p.awaitReady(t)
	return p
}

// launch runs the program; the caller must end it.
func launch(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{cmd: command(context.Background(), args...), stdout: newOutput(), stderr: newOutput(), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start the program: %v", err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is in cmd.ProcessState
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

// command is the program with these arguments, free of the settings of whoever runs the test.
func command(ctx context.Context, args ...string) *exec.Cmd {
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

func (p *program) awaitReady(t *testing.T) {
	t.Helper()
	said := p.await(t, p.stdout, regexp.MustCompile(gatewayReady.String()+"|"+serviceReady.String()))
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

// await waits until the program has written what the pattern matches, and gives all that it wrote.
func (p *program) await(t *testing.T, from *output, pattern *regexp.Regexp) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		said, more := from.read()
		if pattern.MatchString(said) {
			return said
		}
		select {
		case <-more:
		case <-p.ended:
			t.Fatalf("the program ended before it said %v:\n%s%s", pattern, p.stdout, p.stderr)
		case <-deadline:
			t.Fatalf("the program did not say %v:\n%s%s", pattern, p.stdout, p.stderr)
		}
	}
}

// end kills the program if it still runs, and waits until it is gone.
func (p *program) end() {
	_ = p.cmd.Process.Kill() // it may be gone already
	<-p.ended
}

// kill ends the program as a crash would.
func (p *program) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatalf("kill the program: %v", err)
	}
	<-p.ended
}

// stop asks the program to end, and gives its exit code.
func (p *program) stop(t *testing.T, signal os.Signal) int {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatalf("send %v: %v", signal, err)
	}
	return p.exitCode(t)
}

// exitCode waits for the end of a program that was told to end.
func (p *program) exitCode(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("the program did not end in %v:\n%s", patience, p.stderr)
	}
	return p.cmd.ProcessState.ExitCode()
}

// stopCleanly ends the program and wants it to say that all went well.
func (p *program) stopCleanly(t *testing.T) {
	t.Helper()
	if code := p.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("the program ended with %d:\n%s", code, p.stderr)
	}
}

// outcome is what a command left.
type outcome struct {
	code           int
	stdout, stderr string
	state          *os.ProcessState
}

// run runs a command to its end.
func run(t *testing.T, args ...string) outcome {
	t.Helper()
	return runWith(t, nil, args...)
}

// runWith runs a command to its end, with these variables, as in NAME=value.
func runWith(t *testing.T, variables []string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	cmd := command(ctx, args...)
	cmd.Env = append(cmd.Env, variables...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited || ctx.Err() != nil {
		t.Fatalf("run sluice %v: %v\n%s", args, errors.Join(err, ctx.Err()), stderr.String())
	}
	return outcome{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String(), state: cmd.ProcessState}
}

// mustRun runs a command that has to end well, and gives what it printed.
func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	o := run(t, args...)
	if o.code != 0 {
		t.Fatalf("sluice %v ended with %d:\n%s%s", args, o.code, o.stdout, o.stderr)
	}
	return o.stdout
}

// output keeps what a process writes, and lets others wait for more.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed by the next write
}

func newOutput() *output { return &output{more: make(chan struct{})} }

// Write takes what the process wrote.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.more)
	o.more = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) read() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.more
}

// String is all that was written so far.
func (o *output) String() string {
	text, _ := o.read()
	return text
}

// dial opens a WebSocket whose frames are waited for with patience. It is closed when the test ends.
func (p *program) dial(t *testing.T, header http.Header) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"graphql-transport-ws"}, HandshakeTimeout: patience}
	conn, _, err := dialer.DialContext(t.Context(), "ws://"+p.Addr+"/graphql", header)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	return conn
}
