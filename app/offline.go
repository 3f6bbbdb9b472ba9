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
)

// Offline is the services over their stores, without gateway and broker: what commands work on. Its
// events wait in the outboxes until a Sluice that serves relays them; one may serve meanwhile.
type Offline struct {
	program *Program
	conns   map[string]grpc.ClientConnInterface
}

// OpenOffline opens the services, and so brings their stores up to date.
func OpenOffline(ctx context.Context, cfg config.Config, logger *slog.Logger) (*Offline, error) {
	o := &Offline{}
	program, err := build(ctx, cfg, logger, door{}, func(ctx context.Context, h *house) error {
		if err := makeData(cfg.Data); err != nil {
			return err
		}
		_, conns, err := h.local(ctx, catalog.Names(), reachIn(nil))
		o.conns = conns
		return err
	})
	o.program = program
	return o, err
}

// Close closes the stores.
func (o *Offline) Close(ctx context.Context) error { return o.program.Close(ctx) }

// Accounts is the account service.
func (o *Offline) Accounts() bff.Accounts { return bffrpc.NewAccounts(o.conns["account"]) }

// Import is the services as the importer needs them.
func (o *Offline) Import() importer.Services {
	return importerrpc.New(o.conns["account"], o.conns["device"], o.conns["trip"], o.conns["activity"])
}

// EnsureOwn finds or makes an account that stands for this installation itself, as for those who
// operate it from the command line. Nobody can sign in to it.
func (o *Offline) EnsureOwn(ctx context.Context, name string, role caller.Role) (*bff.Account, error) {
	ctx = caller.NewContext(ctx, caller.OfSystem())
	account, err := o.Accounts().EnsureAccount(ctx, bff.Identity{Provider: "INSTALLATION", Subject: name, Name: name, Role: bff.Role(role)})
	if err != nil {
		return nil, fmt.Errorf("make the account %q: %w", name, err)
	}
	return account, nil
}
