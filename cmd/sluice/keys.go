package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/sluicehq/sluice/app"
	"github.com/sluicehq/sluice/internal/config"
	"github.com/sluicehq/sluice/services/account/signing"
)

type keysCommand struct {
	List   keysListCommand   `cmd:"" help:"List the keys that sign access tokens."`
	Rotate keysRotateCommand `cmd:"" help:"Create a key that signs access tokens from one hour later, when all gateways know it."`
}

type keysListCommand struct {
	config.Config `embed:""`
}

// Run prints all keys as a table.
func (c keysListCommand) Run(ctx context.Context) error {
	return withServices(ctx, c.Config, func(_ context.Context, offline *app.Offline) error {
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSIGNS FROM\tSTATE")
		for _, key := range offline.SigningKeys().List() {
			fmt.Fprintf(w, "%s\t%s\t%s\n", key.ID, key.SignsFrom.Format(time.DateTime), stateOf(key))
		}
		return w.Flush()
	})
}

func stateOf(key signing.Info) string {
	switch {
	case key.Signs:
		return "signs"
	case key.SignsFrom.After(time.Now()):
		return "published"
	}
	return "replaced"
}

type keysRotateCommand struct {
	config.Config `embed:""`
}

// Run creates a key and prints its id.
func (c keysRotateCommand) Run(ctx context.Context) error {
	return withServices(ctx, c.Config, func(ctx context.Context, offline *app.Offline) error {
		kid, err := offline.SigningKeys().Rotate(ctx)
		if err != nil {
			return err
		}
		fmt.Println(kid)
		return nil
	})
}
