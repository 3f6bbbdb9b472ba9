package harness

import (
	"strings"
	"testing"
)

// CreateAPIKey creates an API key in the data folder, with the largest accepted budget, and returns its secret.
func CreateAPIKey(t *testing.T, data, role string, scopes ...string) string {
	t.Helper()
	args := []string{"apikey", "create", "test", "--role", role, "--points-per-minute", "1000000", "--data", data}
	for _, scope := range scopes {
		args = append(args, "--scope", scope)
	}
	return strings.TrimSpace(MustRun(t, args...))
}
