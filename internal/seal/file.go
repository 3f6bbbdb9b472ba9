package seal

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Load returns the keys of a file, one a line, the newest first. It creates the file with a random key when there is
// none. Others must not be able to read it.
func Load(path string) (*Keys, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil && !errors.Is(err, fs.ErrExist) { // another process may be first
			return nil, fmt.Errorf("create the sealing key: %w", err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the sealing key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the sealing key: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others can read the sealing key %s (mode %04o): run chmod 600 %[1]s", path, info.Mode().Perm())
	}
	keys, err := New(strings.Fields(string(text))...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: restore it from a backup", path, err)
	}
	return keys, nil
}

// create writes a new file, which has its name only once its content is on the disk.
func create(path string) error {
	var random [32]byte
	_, _ = rand.Read(random[:])                                  // never fails
	file, err := os.CreateTemp(filepath.Dir(path), ".sealing-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(base64.RawStdEncoding.EncodeToString(random[:]) + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Link(file.Name(), path)
}
