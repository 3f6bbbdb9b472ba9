package app

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff"
	bffrpc "github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/importer"
	importerrpc "github.com/sluicehq/sluice/importer/rpc"
	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/catalog"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/config"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/account/signing"
)

// Offline is the services over their stores for commands, without gateway and broker. Its events wait in the outboxes
// for a serving Sluice, which may run at the same time.
type Offline struct {
	program *Program
	conns   map[string]grpc.ClientConnInterface
	isDemo  bool
	signing *signing.Keys
	stores  []*sqldb.DB
	served  bool // another process relays the events
}

// OpenOffline opens the services and migrates their stores.
func OpenOffline(ctx context.Context, cfg config.Config, logger *slog.Logger) (*Offline, error) {
	o := &Offline{}
	program, err := build(ctx, cfg, logger, listenAddress{}, func(ctx context.Context, w *wiring) error {
		if err := w.openData(); err != nil {
			return err
		}
		o.isDemo = w.isDemo
		services, conns, err := w.local(ctx, catalog.Names(), reachIn(nil))
		o.conns, o.signing = conns, w.signing
		for _, s := range services {
			o.stores = append(o.stores, s.db)
		}
		o.served = cfg.NATS.URL != "" || bus.InUse(filepath.Join(cfg.Data, "nats"))
		return err
	})
	o.program = program
	return o, err
}

// relayWait is the time without progress after which nobody relays the events.
const relayWait = 3 * time.Second

// AwaitRelay returns when a serving Sluice has published the events of all changes, so that no cache shows what was there
// before. It returns at once when none serves.
func (o *Offline) AwaitRelay(ctx context.Context) error {
	if !o.served {
		return nil
	}
	for _, store := range o.stores {
		var oldest int64
		for deadline := time.Now().Add(relayWait); time.Now().Before(deadline); {
			pending, err := store.PendingEvents(ctx, 1)
			if err != nil || len(pending) == 0 {
				if err != nil {
					return fmt.Errorf("wait for the events: %w", err)
				}
				break
			}
			if pending[0].Sequence != oldest {
				oldest, deadline = pending[0].Sequence, time.Now().Add(relayWait)
			}
			if err := clock.Sleep(ctx, clock.System{}, 20*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
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
