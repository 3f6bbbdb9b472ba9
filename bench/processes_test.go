package bench

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/internal/obs"
	"github.com/sluicehq/sluice/internal/rpc"
)

// The benchmark runs in three processes, each this test binary: services that answer from memory, a
// gateway whose CPU is what counts, and the client.
const (
	roleVariable  = "SLUICE_BENCH_ROLE"
	redisVariable = "SLUICE_BENCH_REDIS" // where the cache is shared; nowhere when empty
	delayVariable = "SLUICE_BENCH_DELAY" // how long the services take for a call, as in 5ms
)

func TestMain(m *testing.M) {
	var err error
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(m.Run())
	case "services":
		err = serveServices()
	case "gateway":
		err = serveGateway(os.Getenv("SLUICE_BENCH_SERVICES"))
	default:
		err = fmt.Errorf("no role %q", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// start runs this test binary in a role until the benchmark ends, and returns the address of its listener.
func start(b *testing.B, role string, environment ...string) string {
	b.Helper()
	return firstLine(b, inRole(b, role, environment...), role)
}

// inRole is this test binary in a role, not started yet.
func inRole(b *testing.B, role string, environment ...string) *exec.Cmd {
	b.Helper()
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), program)
	cmd.Env = append(append(os.Environ(), roleVariable+"="+role), environment...)
	cmd.Stderr = os.Stderr
	return cmd
}

// firstLine launches the command and returns the first line that it prints.
func firstLine(b *testing.B, cmd *exec.Cmd, role string) string {
	b.Helper()
	line, err := bufio.NewReader(launch(b, cmd)).ReadString('\n')
	if err != nil {
		b.Fatalf("start the %s: %v", role, err)
	}
	return strings.TrimSpace(line)
}

// launch runs a program until the benchmark ends, and gives what it prints.
func launch(b *testing.B, cmd *exec.Cmd) io.Reader {
	b.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return out
}

func listen() (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err == nil {
		fmt.Println(listener.Addr())
	}
	return listener, err
}

func calls() rpc.Options {
	return rpc.Options{Logger: slog.New(slog.DiscardHandler), Tracing: obs.NoTracing()}
}

func serveServices() error {
	listener, err := listen()
	if err != nil {
		return err
	}
	delay, err := time.ParseDuration(cmp.Or(os.Getenv(delayVariable), "0s"))
	if err != nil {
		return err
	}
	return rpc.NewServer(calls(), func(r grpc.ServiceRegistrar) { registerAll(slow{r, delay}) }).Serve(listener)
}

// slow registers services all of whose methods take their time.
type slow struct {
	grpc.ServiceRegistrar
	delay time.Duration
}

func (s slow) RegisterService(desc *grpc.ServiceDesc, service any) {
	slowed := *desc
	slowed.Methods = slices.Clone(desc.Methods)
	for i, method := range desc.Methods {
		slowed.Methods[i].Handler = func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			if s.delay > 0 {
				<-time.After(s.delay)
			}
			return method.Handler(srv, ctx, decode, intercept)
		}
	}
	s.ServiceRegistrar.RegisterService(&slowed, service)
}
