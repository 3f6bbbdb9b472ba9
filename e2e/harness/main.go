package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// suite holds what all tests of a package share.
var suite struct {
	folder string // of the test run; removed at its end
	binary string // the program under test

	demoOnce sync.Once
	demo     *Program // started by the first test that uses it
}

// Main builds the program, runs the tests of a package, and stops their shared demo. TestMain passes its result to
// os.Exit.
func Main(m *testing.M) int {
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
			suite.demo.Close()
		}
	}()
	return m.Run()
}

// Folder is the temporary folder of the test run of this package.
func Folder() string { return suite.folder }

// DemoFolder is the data folder of Demo.
func DemoFolder() string { return filepath.Join(suite.folder, "demo") }

// Demo returns a program with the demo's recordings, which all tests of a package share and must not change. The
// first call starts it.
func Demo(t *testing.T) *Program {
	t.Helper()
	suite.demoOnce.Do(func() {
		p := Launch(t, DemoArgs(DemoFolder())...)
		p.AwaitReady(t)
		suite.demo = p
	})
	if suite.demo == nil {
		t.Fatal("the demo did not start: see the first test that used it")
	}
	return suite.demo
}

// DemoArgs is the command line of a demo on the data folder, at a free port.
func DemoArgs(data string, more ...string) []string {
	return append([]string{"serve", "--demo", "--addr", "127.0.0.1:0", "--data", data}, more...)
}
