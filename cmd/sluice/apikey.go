package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluicehq/sluice/app"
	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/config"
)

type apiKeyCommand struct {
	Create apiKeyCreateCommand `cmd:"" help:"Make an API key and print its secret, this once."`
	List   apiKeyListCommand   `cmd:"" help:"List all API keys."`
	Revoke apiKeyRevokeCommand `cmd:"" help:"End an API key for good."`
}

type apiKeyCreateCommand struct {
	Name            string        `arg:"" help:"What the key is for."`
	Scope           []string      `required:"" help:"What it may do, as in device:read; may be given again."`
	DeviceLabel     []string      `placeholder:"KEY=VALUE" help:"Limits the key to the devices with this label, as in site=north; may be given again."`
	Role            string        `enum:"ADMIN,OPERATOR,MEMBER" default:"OPERATOR" help:"Whom it acts as: an account of this installation of that role."`
	PointsPerMinute int           `default:"60000" help:"How many points it may spend a minute."`
	ValidFor        time.Duration `help:"How long it is good, as in 720h; without end when left out."`

	config.Config `embed:""`
}

// Run makes the key.
func (c apiKeyCreateCommand) Run(ctx context.Context) error {
	return onAccounts(ctx, c.Config, func(ctx context.Context, offline *app.Offline) error {
		role := caller.Role(c.Role)
		account, err := offline.EnsureOwn(ctx, strings.ToLower(c.Role), role)
		if err != nil {
			return err
		}
		limit, err := deviceLabels(c.DeviceLabel)
		if err != nil {
			return err
		}
		input := bff.CreateApiKeyInput{Name: c.Name, Scopes: c.Scope, DeviceLabels: limit, PointsPerMinute: &c.PointsPerMinute}
		if c.ValidFor > 0 {
			end := time.Now().Add(c.ValidFor)
			input.ExpiresAt = &end
		}
		// Making keys is the right of those who run this command, whatever the key may do.
		scopes := append(caller.ScopesOf(role), caller.APIKeyWrite)
		ctx = caller.NewContext(ctx, caller.Caller{AccountID: account.ID, Role: role, Scopes: scopes})
		created, err := offline.Accounts().CreateAPIKey(ctx, input)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s: keep the secret, it is not shown again\n", created.APIKey.ID)
		_, err = fmt.Fprintln(os.Stdout, *created.Secret)
		return err
	})
}

// deviceLabels writes pairs such as site=north as an object; nil for none.
func deviceLabels(pairs []string) (bff.JSON, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	labels := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("--device-label: %q is not KEY=VALUE", pair)
		}
		labels[key] = value
	}
	return json.Marshal(labels)
}

type apiKeyListCommand struct {
	config.Config `embed:""`
}

// Run lists the keys.
func (c apiKeyListCommand) Run(ctx context.Context) error {
	return onAccounts(ctx, c.Config, func(ctx context.Context, offline *app.Offline) error {
		keys, err := offline.Accounts().ListAPIKeys(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tNAME\tPREFIX\tSCOPES\tEXPIRES\tLAST USED\tREVOKED")
		for _, k := range keys {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Prefix, strings.Join(k.Scopes, ","),
				day(k.ExpiresAt), day(k.LastUsedAt), day(k.RevokedAt))
		}
		return w.Flush()
	})
}

func day(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(time.DateTime)
}

type apiKeyRevokeCommand struct {
	ID string `arg:"" help:"The key's id."`

	config.Config `embed:""`
}

// Run ends the key.
func (c apiKeyRevokeCommand) Run(ctx context.Context) error {
	return onAccounts(ctx, c.Config, func(ctx context.Context, offline *app.Offline) error {
		_, err := offline.Accounts().RevokeAPIKey(ctx, c.ID)
		return err
	})
}

type migrateCommand struct {
	config.Config `embed:""`
}

// Run opens the stores, which brings them up to date.
func (c migrateCommand) Run(ctx context.Context) error {
	return onAccounts(ctx, c.Config, func(context.Context, *app.Offline) error {
		_, err := fmt.Fprintln(os.Stdout, "the databases are up to date")
		return err
	})
}

// onAccounts works on the services as the system, without a gateway.
func onAccounts(ctx context.Context, cfg config.Config, work func(ctx context.Context, offline *app.Offline) error) error {
	offline, err := app.OpenOffline(ctx, cfg, newLogger(cfg))
	if err != nil {
		return err
	}
	err = work(caller.NewContext(ctx, caller.OfSystem()), offline)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return errors.Join(err, offline.Close(stop))
}
