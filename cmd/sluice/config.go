package main

import (
	"context"
	"fmt"
	"os"

	"github.com/sluicehq/sluice/internal/config"
)

type configCommand struct {
	Check configCheckCommand `cmd:"" help:"Check the settings."`
	Print configPrintCommand `cmd:"" help:"Print the effective settings with masked secrets."`
	Doc   configDocCommand   `cmd:"" help:"Print the documentation of every setting."`
}

type configCheckCommand struct {
	config.Config `embed:""`
}

// Run reports success: invalid settings are refused before it runs.
func (configCheckCommand) Run(context.Context) error {
	_, err := fmt.Fprintln(os.Stdout, "the settings are good")
	return err
}

type configPrintCommand struct {
	config.Config `embed:""`
}

// Run prints the effective settings with masked secrets.
func (c configPrintCommand) Run(context.Context) error { return config.Print(os.Stdout, c.Config) }

type configDocCommand struct{}

// Run prints the documentation of every setting.
func (configDocCommand) Run(context.Context) error { return config.Doc(os.Stdout) }
