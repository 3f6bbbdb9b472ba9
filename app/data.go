package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sluicehq/sluice/gateway/live/eventstream"
	"github.com/sluicehq/sluice/services/account"
	accountstore "github.com/sluicehq/sluice/services/account/store"
)

// openData creates the data folder. With --demo it must be new or the demo's own, because the demo signs everybody in
// as ADMIN.
func (w *wiring) openData() error {
	if err := createDataFolder(w.config.Data); err != nil {
		return err
	}
	if err := w.openToken(); err != nil {
		return err
	}
	if w.isDemo = w.hasFile(demoFolder) || w.hasFile(demoLoaded); w.isDemo {
		if !w.config.Demo {
			w.logger.Warn("the data folder is the demo's: its accounts and its API key exist", "data", w.config.Data)
		}
		return nil
	}
	if !w.config.Demo {
		return nil
	}
	for _, pattern := range []string{"*.db", "keys", "nats*"} {
		found, err := filepath.Glob(filepath.Join(w.config.Data, pattern))
		if err != nil {
			return fmt.Errorf("look into the data folder: %w", err)
		}
		if len(found) > 0 && !w.hasFile(demoFolder) { // another part of the demo may have created both just now
			return errNotDemo("the data folder " + w.config.Data)
		}
	}
	w.isDemo, w.newDemo = true, true
	return os.WriteFile(filepath.Join(w.config.Data, demoFolder), nil, 0o600)
}

// openToken reads the service token of the data folder, unless the settings have one. Parts that share the folder share
// the token.
func (w *wiring) openToken() error {
	if w.calls.Token != "" {
		return nil
	}
	secret, err := eventstream.LoadSecret(filepath.Join(w.config.Data, "service-token"))
	if err != nil {
		return err
	}
	w.calls.Token = hex.EncodeToString(secret)
	return nil
}

func errNotDemo(what string) error {
	return fmt.Errorf("%s has data that --demo did not make, and the demo signs everybody in as ADMIN: choose another with --data", what)
}

func (w *wiring) hasFile(name string) bool {
	_, err := os.Stat(filepath.Join(w.config.Data, name))
	return err == nil
}

// checkDemoAccounts refuses a database outside a new data folder with accounts that are not the demo's.
func (w *wiring) checkDemoAccounts(ctx context.Context, accounts *accountstore.Store) error {
	if !w.newDemo {
		return nil
	}
	others, err := accounts.HasAccountsBeside(ctx, account.DemoProvider)
	if err == nil && others {
		err = errNotDemo("the database of the account service")
	}
	return err
}

func createDataFolder(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("cannot create the data folder: %w: choose another with --data", err)
	}
	unwritable := fmt.Errorf("cannot write to the data folder %s: choose another with --data", folder)
	probe, err := os.CreateTemp(folder, ".writable-")
	if err != nil {
		return unwritable
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return unwritable
	}
	return nil
}
