package harness

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// build returns the path of the program under test in the folder: SLUICE_TEST_BINARY, else the program of this source
// tree. The packages of a test run share one binary in the user's cache folder. "go build" links it only when the
// sources have changed. Each package uses a link to the binary, so that a later build cannot replace it during the
// tests.
func build(folder string) (string, error) {
	if binary := os.Getenv("SLUICE_TEST_BINARY"); binary != "" {
		return filepath.Abs(binary)
	}
	shared, err := sharedBinary()
	if err != nil {
		return "", err
	}
	unlock, err := lock(shared + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	output, err := exec.Command("go", "build", "-o", shared, "github.com/sluicehq/sluice/cmd/sluice").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, output)
	}
	return linkOrCopy(shared, filepath.Join(folder, "sluice"))
}

// sharedBinary is the path of the binary of this source tree. Its folder exists.
func sharedBinary() (string, error) {
	module, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	tree := sha256.Sum256([]byte(strings.TrimSpace(string(module))))
	folder := filepath.Join(cache, "sluice-e2e", hex.EncodeToString(tree[:8]))
	return filepath.Join(folder, "sluice"), os.MkdirAll(folder, 0o700)
}

// linkOrCopy makes the file available under another path, by a hard link if possible.
func linkOrCopy(from, to string) (string, error) {
	if err := os.Link(from, to); err == nil {
		return to, nil
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return "", err
	}
	return to, os.WriteFile(to, content, 0o700)
}
