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
	Create apiKeyCreateCommand `cmd:"" help:"Create an API key and print its secret, which is not shown later."`
	List   apiKeyListCommand   `cmd:"" help:"List all API keys."`
	Revoke apiKeyRevokeCommand `cmd:"" help:"Revoke an API key permanently."`
}

type apiKeyCreateCommand struct {
	Name            string        `arg:"" help:"Name of the key."`
	Scope           []string      `required:"" help:"Scope of the key, such as device:read; repeatable."`
	DeviceLabel     []string      `placeholder:"KEY=VALUE" help:"Limits the key to devices with this label, such as site=north; repeatable."`
	Role            string        `enum:"ADMIN,OPERATOR,MEMBER" default:"OPERATOR" help:"Role of the account of this installation on whose behalf the key acts."`
	PointsPerMinute int           `default:"60000" help:"Budget in points per minute."`
	ValidFor        time.Duration `help:"Time until the key expires, such as 720h; without it the key does not expire."`

	config.Config `embed:""`
}

// Run creates the key and prints its secret.
func (c apiKeyCreateCommand) Run(ctx context.Context) error {
	return withServices(ctx, c.Config, func(ctx context.Context, offline *app.Offline) error {
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
		// The operator of this command may create keys with any scope.
		scopes := append(caller.ScopesOf(role), caller.APIKeyWrite)
		ctx = caller.NewContext(ctx, caller.Caller{AccountID: account.ID, Role: role, Scopes: scopes})
		created, err := offline.Accounts().CreateAPIKey(ctx, input)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s: store the secret, it is not shown again\n", created.APIKey.ID)
		_, err = fmt.Fprintln(os.Stdout, *created.Secret)
		return err
	})
}

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

// Run prints all keys as a table.
func (c apiKeyListCommand) Run(ctx context.Context) error {
	return withServices(ctx, c.Config, func(ctx context.Context, offline *app.Offline) error {
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
	ID string `arg:"" help:"Id of the key."`

	config.Config `embed:""`
}

// Run revokes the key.
func (c apiKeyRevokeCommand) Run(ctx context.Context) error {
	return withServices(ctx, c.Config, func(ctx context.Context, offline *app.Offline) error {
		_, err := offline.Accounts().RevokeAPIKey(ctx, c.ID)
		return err
	})
}

type migrateCommand struct {
	config.Config `embed:""`
}

// Run opens the stores, which applies their migrations.
func (c migrateCommand) Run(ctx context.Context) error {
	return withServices(ctx, c.Config, func(context.Context, *app.Offline) error {
		_, err := fmt.Fprintln(os.Stdout, "the databases are up to date")
		return err
	})
}

// withServices opens the services without a gateway, and calls work with the system as the caller.
func withServices(ctx context.Context, cfg config.Config, work func(ctx context.Context, offline *app.Offline) error) error {
	offline, err := app.OpenOffline(ctx, cfg, newLogger(cfg))
	if err != nil {
		return err
	}
	err = work(caller.NewContext(ctx, caller.OfSystem()), offline)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return errors.Join(err, offline.Close(stop))
}
