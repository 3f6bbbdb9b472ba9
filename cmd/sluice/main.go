// Command sluice is one GraphQL API in front of devices, trips, jobs and live activity. `sluice serve --demo` starts
// it with recordings and prints its URLs. An error is one line on standard error, and exit code 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // time zones, for machines without a database of them

	"github.com/alecthomas/kong"

	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/config"
)

// commands are the subcommands of sluice.
type commands struct {
	Serve    serveCommand    `cmd:"" help:"Run the gateway and all services in one process."`
	Gateway  gatewayCommand  `cmd:"" help:"Run the gateway alone."`
	Service  serviceCommand  `cmd:"" help:"Run one service alone."`
	Import   importCommand   `cmd:"" help:"Load recordings: trips, telemetry, observations, hydration or devices."`
	Simulate simulateCommand `cmd:"" help:"Simulate many MQTT devices against a running Sluice and report what was stored."`
	Keys     keysCommand     `cmd:"" help:"List and rotate the keys that sign access tokens."`
	APIKey   apiKeyCommand   `cmd:"" name:"apikey" help:"Create, list and revoke API keys."`
	Migrate  migrateCommand  `cmd:"" help:"Apply the migrations of all databases."`
	Schema   schemaCommand   `cmd:"" help:"Print the GraphQL schema."`
	Config   configCommand   `cmd:"" help:"Check, print or document the settings."`
}

func main() {
	// SIGHUP stops the program too: settings are read only at the start.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sluice: "+strings.TrimSpace(err.Error()))
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	selected, err := parse(args)
	if err != nil {
		return err
	}
	return selected.Run(ctx)
}

// subcommand is one of the commands, with its arguments.
type subcommand interface {
	Run(ctx context.Context) error
}

// parse returns the subcommand. It does not retain the parser, which is larger than the rest of an idle gateway, and
// which each garbage collection would visit.
func parse(args []string) (subcommand, error) {
	var c commands
	parser, err := kong.New(&c, kong.Name("sluice"),
		kong.Description("One GraphQL API in front of everything that moves."),
		kong.UsageOnError(), kong.Vars{"services": strings.Join(catalog.Names(), ",")}, config.Sources(os.Environ()))
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return nil, withHint(err)
	}
	selected, ok := parsed.Selected().Target.Addr().Interface().(subcommand)
	if !ok {
		return nil, fmt.Errorf("%s cannot run", command(parsed))
	}
	return selected, nil
}

// withHint adds the help command to an error about an unknown flag or argument.
func withHint(err error) error {
	parsing, ok := errors.AsType[*kong.ParseError](err)
	if !ok || strings.Contains(err.Error(), "did you mean") {
		return err
	}
	for _, what := range []string{"unknown flag ", "unexpected argument "} {
		if strings.HasPrefix(err.Error(), what) {
			return fmt.Errorf("%w: `%s --help` lists what there is", err, command(parsing.Context))
		}
	}
	return err
}

// command is the command line up to the last known subcommand, such as "sluice import".
func command(parsing *kong.Context) string {
	if selected := parsing.Selected(); selected != nil {
		return "sluice " + selected.Path()
	}
	return "sluice"
}
