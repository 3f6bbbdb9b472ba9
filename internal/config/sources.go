package config

import (
	"errors"
	"fmt"

	"github.com/alecthomas/kong"
)

// Sources lets kong fill every embedded Config from environ (in the form of os.Environ) and the config file of
// --config or SLUICE_CONFIG. Flags precede both, and both precede the defaults. Commands without a Config ignore all
// sources, so that they work with an invalid configuration.
func Sources(environ []string) kong.Option {
	return kong.OptionFunc(func(k *kong.Kong) error {
		declared, err := settings(&Config{})
		if err != nil {
			return err
		}
		s := &sources{env: sluiceVariables(environ), settings: declared}
		return errors.Join(
			kong.WithBeforeResolve(s.beforeResolve).Apply(k),
			kong.ValueFormatter(s.help).Apply(k),
		)
	})
}

// Load reads and validates the configuration without a command line. The file may be "".
func Load(environ []string, file string) (Config, error) {
	var cfg Config
	parser, err := kong.New(&cfg, kong.NoDefaultHelp(), Sources(environ))
	if err != nil {
		return Config{}, fmt.Errorf("read the declared settings: %w", err)
	}
	var args []string
	if file != "" {
		args = []string{"--" + configFlag + "=" + file}
	}
	if _, err := parser.Parse(args); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// Default returns the configuration without any source.
func Default() (Config, error) { return Load(nil, "") }

type sources struct {
	env      map[string]string
	settings []setting
}

func (s *sources) beforeResolve(ctx *kong.Context, element *kong.Path) error {
	if element.App == nil {
		return nil
	}
	flag := s.configFlag(ctx)
	if flag == nil {
		return nil
	}
	file, _ := ctx.FlagValue(flag).(string)
	if file == "" {
		file = s.env[envOf(configFlag)]
	}
	values, err := s.read(file)
	if err != nil {
		return err
	}
	values[configFlag] = file
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if flag.Name == configFlag || s.find(flag) != nil {
			return values[flag.Name], nil
		}
		return nil, nil
	}))
	return nil
}

func (s *sources) configFlag(ctx *kong.Context) *kong.Flag {
	var config *kong.Flag
	configured := false
	for _, flag := range ctx.Flags() {
		if flag.Name == configFlag {
			config = flag
		}
		configured = configured || s.find(flag) != nil
	}
	if !configured {
		return nil
	}
	return config
}

func (s *sources) find(flag *kong.Flag) *setting {
	for i := range s.settings {
		if s.settings[i].is(flag) {
			return &s.settings[i]
		}
	}
	return nil
}

func (s *sources) read(file string) (map[string]any, error) {
	values := map[string]any{}
	fileErr := s.readFile(file, values)
	envErr := s.readEnv(values)
	return values, errors.Join(fileErr, envErr)
}

func (s *sources) help(value *kong.Value) string {
	text := kong.DefaultHelpValueFormatter(value)
	switch {
	case value.Flag == nil:
		return text
	case value.Name == configFlag:
		return text + " ($" + envOf(configFlag) + ")"
	}
	if found := s.find(value.Flag); found != nil {
		return text + " ($" + found.env() + ")"
	}
	return text
}
