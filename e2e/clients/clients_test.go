package clients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
)

// clientsTime bounds the run of one public client, its installation included.
const clientsTime = 3 * time.Minute

// The clients that people use run against the program: see e2e/clients.
func TestPublicClientsPass(t *testing.T) {
	t.Parallel()
	folder := installClients(t)
	p := harness.Start(t, harness.DemoArgs(t.TempDir(), "--http-max-batch", "10")...)
	token := p.SignIn(t, "operator")
	doc, err := filepath.Abs("../../docs/subscriptions.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range []string{"graphql-http.mjs", "graphql-ws.mjs", "subscriptions-transport-ws.mjs", "graphql-sse.mjs", "apollo-batch.mjs", "docs.mjs"} {
		t.Run(strings.TrimSuffix(script, ".mjs"), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), clientsTime)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "--test", "--test-timeout=60000", script)
			cmd.Dir = folder
			cmd.Env = append(os.Environ(), "SLUICE_URL="+p.URL+"/graphql", "SLUICE_TOKEN="+token, "SLUICE_DOC="+doc)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// installClients gives a folder with e2e/clients and what its lock file names.
func installClients(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if slices.Contains(strings.Split(os.Getenv("SLUICE_TEST_REQUIRE"), ","), "node") {
			t.Fatalf("node is required, and there is no %s on this machine", name)
		}
		t.Skipf("SKIP: no %s on this machine", name)
	}
	folder, err := clientsFolder()
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// clientsFolder installs the clients once for all tests of the package.
var clientsFolder = sync.OnceValues(func() (string, error) {
	folder := filepath.Join(harness.Folder(), "clients")
	return folder, copyAndInstall(folder)
})

func copyAndInstall(folder string) error {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	scripts, err := filepath.Glob("*.mjs")
	if err != nil {
		return err
	}
	for _, path := range append(scripts, "package.json", "package-lock.json", ".npmrc") {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(path)), content, 0o600); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), clientsTime)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--legacy-peer-deps", "--prefer-offline", "--fetch-retries=5")
	install.Dir = folder
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return nil
}
