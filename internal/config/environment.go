package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

const maxSecretFile = 64 << 10

// serviceLink matches the variables that Kubernetes sets for a Service whose name starts with "sluice"
// (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
var serviceLink = regexp.MustCompile(`^SLUICE(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// sluiceVariables returns the variables that may be settings, without SLUICE_TEST_….
func sluiceVariables(environ []string) map[string]string {
	found := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || strings.HasPrefix(name, envPrefix+"TEST_") || isServiceLink(name, value) {
			continue
		}
		found[name] = value
	}
	return found
}

// isServiceLink is true for SLUICE_PORT=tcp://10.0.0.1:80, which Kubernetes sets, and false for SLUICE_PORT=8080,
// which a person sets.
func isServiceLink(name, value string) bool {
	if strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://") {
		return true
	}
	return serviceLink.MatchString(name)
}

func (s *sources) readEnv(values map[string]any) error {
	known := map[string]bool{envOf(configFlag): true}
	var errs []error
	for _, setting := range s.settings {
		known[setting.env()] = true
		if setting.secret() {
			known[setting.env()+fileSuffix] = true
		}
		errs = append(errs, s.readVariable(setting, values))
	}
	return errors.Join(append(errs, s.unknownVariables(known)...)...)
}

func (s *sources) readVariable(setting setting, values map[string]any) error {
	name := setting.env()
	value, ok := s.env[name]
	if !ok && setting.secret() {
		path, given := s.env[name+fileSuffix]
		if !given {
			return nil
		}
		name += fileSuffix
		secret, err := readSecret(path)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		value, ok = secret, true
	}
	if !ok {
		return nil
	}
	if _, err := setting.decode(value); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	values[setting.flag()] = value
	return nil
}

// readSecret returns the text of a file without its last newline.
func readSecret(path string) (string, error) {
	text, err := readBounded(path, maxSecretFile)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return secret, nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s is larger than %s", path, Size(limit))
	}
	return text, nil
}

func (s *sources) unknownVariables(known map[string]bool) []error {
	var names []string
	for name := range known {
		names = append(names, strings.TrimPrefix(name, envPrefix))
	}
	slices.Sort(names)
	var errs []error
	for name := range s.env {
		if !known[name] {
			errs = append(errs, unknownVariable(name, known, names))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

func unknownVariable(name string, known map[string]bool, names []string) error {
	if plain, isFile := strings.CutSuffix(name, fileSuffix); isFile && known[plain] {
		return fmt.Errorf("unknown variable %s: only secrets are read from files; set %s", name, plain)
	}
	meant := nearest(strings.TrimPrefix(name, envPrefix), names)
	if meant == "" {
		return fmt.Errorf("unknown variable %s: `sluice config doc` lists all settings", name)
	}
	return fmt.Errorf("unknown variable %s; did you mean %s%s?", name, envPrefix, meant)
}
