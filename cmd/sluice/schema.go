package main

import (
	"fmt"
	"os"

	"github.com/sluicehq/sluice/graph"
)

type schemaCommand struct {
	Print schemaPrintCommand `cmd:"" help:"Print the GraphQL schema in SDL."`
}

type schemaPrintCommand struct{}

// Run prints the schema, which does not depend on settings.
func (schemaPrintCommand) Run() error {
	_, err := fmt.Fprint(os.Stdout, graph.SDL())
	return err
}
