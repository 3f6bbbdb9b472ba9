// Command gqlgen is gqlgen with the plangen plugin. Its arguments are the configuration (default gqlgen.yml) and the
// Go file with the table of references (default graph/references.go).
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen/config"

	"github.com/sluicehq/sluice/graph/plan/plangen"
)

func main() {
	path, table := "gqlgen.yml", "graph/references.go"
	if len(os.Args) > 2 {
		path, table = os.Args[1], os.Args[2]
	}
	if err := generate(path, table); err != nil {
		fmt.Fprintln(os.Stderr, "gqlgen:", err)
		os.Exit(1)
	}
}

func generate(path, table string) error {
	references, err := plangen.ReadReferences(table)
	if err != nil {
		return err
	}
	if err := os.Chdir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("enter the folder of the configuration: %w", err)
	}
	cfg, err := config.LoadConfig(filepath.Base(path))
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return api.Generate(cfg, api.AddPlugin(plangen.Plugin{References: references}))
}
