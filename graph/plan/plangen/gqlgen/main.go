// Command gqlgen is gqlgen with the plangen plugin. It reads the configuration that its argument
// names, gqlgen.yml when there is none, in that file's folder.
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
	path := "gqlgen.yml"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	if err := generate(path); err != nil {
		fmt.Fprintln(os.Stderr, "gqlgen:", err)
		os.Exit(1)
	}
}

func generate(path string) error {
	if err := os.Chdir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("enter the configuration's folder: %w", err)
	}
	cfg, err := config.LoadConfig(filepath.Base(path))
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return api.Generate(cfg, api.AddPlugin(plangen.Plugin{}))
}
