package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/sluicehq/sluice/app"
	"github.com/sluicehq/sluice/internal/config"
	"github.com/sluicehq/sluice/internal/memory"
	"github.com/sluicehq/sluice/internal/obs"
)

const (
	closeTimeout = 10 * time.Second // for stopping the program, after the drain delay

	// gatewayDrainDelay lets a load balancer notice that the gateway is not ready.
	gatewayDrainDelay = 3 * time.Second
)

type serveCommand struct {
	config.Config `embed:""`
}

type gatewayCommand struct {
	config.Config `embed:""`
}

type serviceCommand struct {
	Name          string `arg:"" enum:"${services}" help:"One of ${services}."`
	config.Config `embed:""`
}

// Run runs the gateway and all services in one process until a signal stops it.
func (c serveCommand) Run(ctx context.Context) error {
	program, err := app.Serve(ctx, c.Config, setup(c.Config))
	if err != nil {
		return err
	}
	welcome(os.Stdout, program, c.Config)
	return untilStopped(ctx, program, c.Config)
}

// Run runs the gateway until a signal stops it.
func (c gatewayCommand) Run(ctx context.Context) error {
	if c.HTTP.DrainDelay < 0 {
		c.HTTP.DrainDelay = gatewayDrainDelay
	}
	program, err := app.Gateway(ctx, c.Config, setup(c.Config))
	if err != nil {
		return err
	}
	welcome(os.Stdout, program, c.Config)
	return untilStopped(ctx, program, c.Config)
}

// Run runs one service until a signal stops it.
func (c serviceCommand) Run(ctx context.Context) error {
	program, err := app.Service(ctx, c.Config, c.Name, setup(c.Config))
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "the %s service answers gRPC at %s\n", c.Name, program.Addr)
	return untilStopped(ctx, program, c.Config)
}

// setup configures the memory limit and returns the logger of a process that serves.
func setup(c config.Config) *slog.Logger {
	settings := memory.Settings{Limit: int64(c.Memory.Limit), GCPercent: c.Memory.GCPercent}
	limit := memory.Tune(settings, memory.Available, os.Getenv)
	logger := newLogger(c)
	logger.Debug("memory", "limit", limit, "gc_percent", c.Memory.GCPercent)
	return logger
}

func newLogger(c config.Config) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Log.Level)) // config has validated it
	return obs.NewLogger(os.Stderr, level, c.Log.Format)
}

// untilStopped waits for a signal or a failure, and then closes the program.
func untilStopped(ctx context.Context, program *app.Program, c config.Config) error {
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-program.Failed():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout+max(0, c.HTTP.DrainDelay))
	defer cancel()
	if err := program.Close(stop); err != nil && failure == nil {
		failure = fmt.Errorf("stop: %w", err)
	}
	return failure
}

// welcome prints the URLs of the program and the demo identities.
func welcome(w io.Writer, program *app.Program, c config.Config) {
	url := "http://" + program.Addr
	fmt.Fprintf(w, "\nSluice is ready.\n\n  GraphiQL   %s/graphiql/\n  GraphQL    %s/graphql\n  health     %s/readyz\n", url, url, url)
	if program.MQTT != "" {
		fmt.Fprintf(w, "  MQTT       %s\n", program.MQTT)
	}
	if c.Telemetry.Metrics {
		fmt.Fprintf(w, "  metrics    %s/metrics\n", url)
	}
	if c.Demo && program.APIKey != "" {
		fmt.Fprintf(w, "\n  sign in    mutation { login(input: {provider: DEMO, code: \"operator\"}) { accessToken } }\n")
		fmt.Fprintf(w, "  identities %s\n", strings.Join(app.DemoIdentities(), ", "))
		fmt.Fprintf(w, "  API key    X-API-Key: %s\n", program.APIKey)
		fmt.Fprintf(w, "\n  curl -s %s/graphql -H 'Content-Type: application/json' -H 'X-API-Key: %s' \\\n    -d '{\"query\":\"{ trips(first: 3) { totalCount nodes { id distance vehicle { name } } } }\"}'\n", url, program.APIKey)
	}
	fmt.Fprintln(w, "\nStop it with Ctrl-C.")
}
