package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff"
	bffrpc "github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/importer"
	importerrpc "github.com/sluicehq/sluice/importer/rpc"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/worker"
	"github.com/sluicehq/sluice/services/account"
)

// The files of the demo in the data folder.
const (
	demoFolder = "demo"         // the demo made the folder
	demoLoaded = "demo-loaded"  // the recordings are loaded
	demoAPIKey = "demo-api-key" // the secret of the demo's API key, readable by its owner only
)

// DemoIdentities are the sign-in codes of the demo.
func DemoIdentities() []string { return []string{"admin", "operator", "alice", "bob"} }

// prepareDemo creates the demo's accounts and its API key, and loads its recordings and jobs once.
func (w *wiring) prepareDemo(ctx context.Context, conns map[string]grpc.ClientConnInterface) error {
	ctx = caller.NewContext(ctx, caller.OfSystem())
	accounts := bffrpc.NewAccounts(conns["account"])
	admin, err := ensureDemoAccounts(ctx, accounts)
	if err != nil {
		return fmt.Errorf("make the demo accounts: %w", err)
	}
	if w.program.APIKey, err = w.demoAPIKey(ctx, accounts, admin); err != nil {
		return fmt.Errorf("make the demo's API key: %w", err)
	}
	marker := filepath.Join(w.config.Data, demoLoaded)
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	started := time.Now()
	w.logger.Info("loading the recordings, this once")
	if err := w.loadDemo(ctx, conns); err != nil {
		return fmt.Errorf("load the recordings: %w", err)
	}
	w.logger.Info("recordings loaded", "took", time.Since(started).Round(time.Millisecond))
	return os.WriteFile(marker, []byte(w.clock.Now().Format(time.RFC3339)+"\n"), 0o600)
}

// demoLoader returns the loop that prepares the demo through services in other processes.
func (w *wiring) demoLoader(conns map[string]grpc.ClientConnInterface) worker.Loop {
	prepared := false
	return worker.Loop{Name: "demo", Pass: func(ctx context.Context) error {
		for _, conn := range conns {
			if prepared || answers(conn)(ctx) != nil {
				return nil
			}
		}
		err := w.prepareDemo(ctx, conns)
		prepared = err == nil
		return err
	}}
}

func ensureDemoAccounts(ctx context.Context, accounts bff.Accounts) (admin *bff.Account, err error) {
	for _, code := range DemoIdentities() {
		identity, err := account.DemoIdentities{}.Identify(ctx, code)
		if err != nil {
			return nil, err
		}
		made, err := accounts.EnsureAccount(ctx, bff.Identity{
			Provider: account.DemoProvider, Subject: identity.Subject, Name: identity.Name, Role: bff.Role(identity.Role),
		})
		if err != nil {
			return nil, err
		}
		if made.Role == bff.Role(caller.Admin) {
			admin = made
		}
	}
	return admin, nil
}

func (w *wiring) demoAPIKey(ctx context.Context, accounts bff.Accounts, admin *bff.Account) (string, error) {
	file := filepath.Join(w.config.Data, demoAPIKey)
	kept, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if secret := strings.TrimSpace(string(kept)); secret != "" {
		if _, err := accounts.VerifyAPIKey(ctx, secret); err == nil {
			return secret, nil
		}
	}
	ctx = caller.NewContext(ctx, caller.Caller{AccountID: admin.ID, Role: caller.Admin, Scopes: caller.ScopesOf(caller.Admin)})
	points := min(w.config.Quota.AccountPoints, account.MaxPointsPerMinute) // the budget of an account
	created, err := accounts.CreateAPIKey(ctx, bff.CreateApiKeyInput{
		Name:            "demo",
		PointsPerMinute: &points,
		Scopes:          []string{caller.AccountRead, caller.DeviceRead, caller.TripRead, caller.JobRead, caller.ActivityRead, caller.ActivityWrite},
	})
	if err != nil {
		return "", err
	}
	return *created.Secret, os.WriteFile(file, []byte(*created.Secret+"\n"), 0o600)
}

func (w *wiring) loadDemo(ctx context.Context, conns map[string]grpc.ClientConnInterface) error {
	services := importerrpc.New(conns["account"], conns["device"], conns["trip"], conns["activity"])
	services.Demo = true
	if _, err := importer.Demo(ctx, services, w.logger); err != nil {
		return err
	}
	return w.demoJobs(ctx, bffrpc.NewDevices(conns["device"]), bffrpc.NewJobs(conns["job"]))
}

func (w *wiring) demoJobs(ctx context.Context, devices bff.Devices, jobs bff.Jobs) error {
	sensors, err := devices.ListDevices(ctx, &bff.DeviceFilter{Kinds: []bff.DeviceKind{"SENSOR"}}, "NAME", bff.PageRequest{First: 1})
	if err != nil {
		return err
	}
	var sensor *string
	if len(sensors.Items) > 0 {
		sensor = &sensors.Items[0].ID
	}
	text := func(s string) *string { return &s }
	tomorrow := w.clock.Now().Add(24 * time.Hour).Truncate(time.Hour)
	for _, input := range []bff.CreateJobInput{
		{Name: "Say hello", Description: text("Runs once, at once."), Kind: "log", Payload: bff.JSON(`{"message":"hello"}`)},
		{Name: "Drink some water", Description: text("Every half hour of the day."), Kind: "log", Payload: bff.JSON(`{"message":"time to drink"}`), Cron: text("*/30 8-20 * * *"), TimeZone: text("Europe/Berlin")},
		{Name: "Check the machine", Description: text("Once, tomorrow."), Kind: "log", Payload: bff.JSON(`{"message":"check the machine"}`), RunAt: &tomorrow, DeviceID: sensor},
	} {
		input.IdempotencyKey = text("demo: " + input.Name)
		if _, err := jobs.CreateJob(ctx, input); err != nil {
			return fmt.Errorf("make the job %q: %w", input.Name, err)
		}
	}
	return nil
}
