package main

import (
	"fmt"
	"os"

	"github.com/sluicehq/sluice/internal/config"
)

type configCommand struct {
	Check configCheckCommand `cmd:"" help:"Say whether the settings are good."`
	Print configPrintCommand `cmd:"" help:"Print the settings in force, secrets masked."`
	Doc   configDocCommand   `cmd:"" help:"Print every setting with its default."`
}

type configCheckCommand struct {
	config.Config `embed:""`
}

// Run has nothing left to do: settings that are not good do not get here.
func (configCheckCommand) Run() error {
	_, err := fmt.Fprintln(os.Stdout, "the settings are good")
	return err
}

type configPrintCommand struct {
	config.Config `embed:""`
}

// Run prints the settings in force.
func (c configPrintCommand) Run() error { return config.Print(os.Stdout, c.Config) }

type configDocCommand struct{}

// Run prints every setting.
func (configDocCommand) Run() error { return config.Doc(os.Stdout) }
