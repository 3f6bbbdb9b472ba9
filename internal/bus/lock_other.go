//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package bus

import (
	"fmt"
	"os"
	"path/filepath"
)

// lockFolder only opens the file: this system has no flock, so the operator must run one process per folder.
func lockFolder(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the broker's folder: %w", err)
	}
	return file, nil
}
