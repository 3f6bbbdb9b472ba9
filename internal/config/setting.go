package config

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

const (
	envPrefix  = "SLUICE_"
	fileSuffix = "_FILE"
	configFlag = "config"
)

// setting is one field of a Config with its names.
type setting struct {
	path  string // in the config file: http.max_body
	value *kong.Value
}

// settings lists the settings of cfg in the order of their declaration. Their values are fields of cfg. File is not a
// setting: the config file cannot contain its own path.
func settings(cfg *Config) ([]setting, error) {
	parser, err := kong.New(cfg, kong.NoDefaultHelp())
	if err != nil {
		return nil, fmt.Errorf("read the declared settings: %w", err)
	}
	var all []setting
	for _, flag := range parser.Model.Flags {
		if flag.Name != configFlag {
			all = append(all, setting{path: pathOf(flag), value: flag.Value})
		}
	}
	return all, nil
}

// pathOf converts the prefixes of the areas to blocks, and the rest of the name to snake_case.
func pathOf(flag *kong.Flag) string {
	area := flag.Tag.Prefix
	return strings.ReplaceAll(area, "-", ".") + strings.ReplaceAll(strings.TrimPrefix(flag.Name, area), "-", "_")
}

func flagOf(path string) string { return strings.NewReplacer(".", "-", "_", "-").Replace(path) }

func envOf(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

func (s setting) flag() string { return flagOf(s.path) }

func (s setting) env() string { return envOf(s.path) }

func (s setting) doc() string { return s.value.Help }

func (s setting) secret() bool { return s.value.Target.Type() == reflect.TypeFor[Secret]() }

func (s setting) list() bool { return s.value.Target.Kind() == reflect.Slice }

// is reports whether the setting declares the flag, rather than a command with a flag of the same name.
func (s setting) is(flag *kong.Flag) bool {
	return flag.Name == s.flag() && flag.OrigHelp == s.value.OrigHelp
}

// decode parses a value as the flag does. The value is a string or a list of strings.
func (s setting) decode(value any) (reflect.Value, error) {
	target := reflect.New(s.value.Target.Type()).Elem()
	scan := kong.Scan().PushTyped(value, kong.FlagValueToken)
	if err := s.value.Mapper.Decode(&kong.DecodeContext{Value: s.value, Scan: scan}, target); err != nil {
		return reflect.Value{}, err
	}
	return target, s.checkEnum(target)
}

func (s setting) checkEnum(v reflect.Value) error {
	if s.value.Enum == "" || s.value.EnumMap()[v.String()] {
		return nil
	}
	return fmt.Errorf("%q is not one of %s", v.String(), strings.Join(s.value.EnumSlice(), ", "))
}
