package app

import (
	"context"
	"fmt"
	"log/slog"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff"
	bffrpc "github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/importer"
	importerrpc "github.com/sluicehq/sluice/importer/rpc"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/config"
	"github.com/sluicehq/sluice/services/account/signing"
)

// Offline is the services over their stores for commands, without gateway and broker. Its events wait in the outboxes
// for a serving Sluice, which may run at the same time.
type Offline struct {
	program *Program
	conns   map[string]grpc.ClientConnInterface
	isDemo  bool
	signing *signing.Keys
}

// OpenOffline opens the services and migrates their stores.
func OpenOffline(ctx context.Context, cfg config.Config, logger *slog.Logger) (*Offline, error) {
	o := &Offline{}
	program, err := build(ctx, cfg, logger, listenAddress{}, func(ctx context.Context, w *wiring) error {
		if err := w.openData(); err != nil {
			return err
		}
		o.isDemo = w.isDemo
		_, conns, err := w.local(ctx, catalog.Names(), reachIn(nil))
		o.conns, o.signing = conns, w.signing
		return err
	})
	o.program = program
	return o, err
}

// Close closes the stores.
func (o *Offline) Close(ctx context.Context) error { return o.program.Close(ctx) }

// Accounts returns the account service.
func (o *Offline) Accounts() bff.Accounts { return bffrpc.NewAccounts(o.conns["account"]) }

// SigningKeys returns the keys that sign access tokens.
func (o *Offline) SigningKeys() *signing.Keys { return o.signing }

// Import returns the ports of the importer. Only in the demo's data folder the demo identities have accounts.
func (o *Offline) Import() importer.Services {
	services := importerrpc.New(o.conns["account"], o.conns["device"], o.conns["trip"], o.conns["activity"])
	services.Demo = o.isDemo
	return services
}

// EnsureOwn finds or creates an account of this installation, as for the command line. It has no sign-in.
func (o *Offline) EnsureOwn(ctx context.Context, name string, role caller.Role) (*bff.Account, error) {
	ctx = caller.NewContext(ctx, caller.OfSystem())
	account, err := o.Accounts().EnsureAccount(ctx, bff.Identity{Provider: "INSTALLATION", Subject: name, Name: name, Role: bff.Role(role)})
	if err != nil {
		return nil, fmt.Errorf("make the account %q: %w", name, err)
	}
	return account, nil
}
