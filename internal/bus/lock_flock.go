//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package bus

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockFolder excludes other processes from the folder of the streams until the file is closed or the process ends.
// Two servers on one folder would destroy it, and NATS does not check.
func lockFolder(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the broker's folder: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close() // nothing was written
		return nil, fmt.Errorf("the broker's folder %s is in use by another process (%w): stop that one, or choose another data folder", dir, err)
	}
	return file, nil
}
