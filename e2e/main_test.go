package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// suite is what all tests share.
var suite struct {
	folder string // of the run; removed at its end
	binary string // the program under test

	demoOnce sync.Once
	demo     *program // started by the first test that reads it

	clientsOnce sync.Once
	clients     string // the folder with the public clients, installed by the first test that runs one
	clientsErr  error
}

func TestMain(m *testing.M) { os.Exit(runSuite(m)) }

func runSuite(m *testing.M) int {
	folder, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	suite.folder = folder
	if suite.binary, err = build(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if suite.demo != nil {
			suite.demo.end()
		}
	}()
	return m.Run()
}

// build gives the program under test: the one that SLUICE_TEST_BINARY names, else this tree's.
func build(folder string) (string, error) {
	if binary := os.Getenv("SLUICE_TEST_BINARY"); binary != "" {
		return filepath.Abs(binary)
	}
	binary := filepath.Join(folder, "sluice")
	output, err := exec.Command("go", "build", "-o", binary, "github.com/sluicehq/sluice/cmd/sluice").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, output)
	}
	return binary, nil
}

// demo is the program with the recordings that all tests share: they must not change what it holds.
func demo(t *testing.T) *program {
	t.Helper()
	suite.demoOnce.Do(func() {
		p := launch(t, serveDemo(filepath.Join(suite.folder, "demo"))...)
		p.awaitReady(t)
		suite.demo = p
	})
	if suite.demo == nil {
		t.Fatal("the demo did not start: see the first test that wanted it")
	}
	return suite.demo
}

// serveDemo is the command line of a demo on the folder, at a free port.
func serveDemo(data string, more ...string) []string {
	return append([]string{"serve", "--demo", "--addr", "127.0.0.1:0", "--data", data}, more...)
}
