package eventstream

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const secretBytes = 32

// LoadSecret returns a secret from a file, and creates the file when it does not exist. This is for one gateway;
// several gateways need a shared secret.
func LoadSecret(path string) ([]byte, error) {
	secret, err := os.ReadFile(path)
	if err == nil && len(secret) >= secretBytes {
		return secret, nil
	}
	if err == nil {
		return nil, fmt.Errorf("the secret in %s is cut off: remove the file", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	secret = make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails
	if err := writeSecret(path, secret); errors.Is(err, fs.ErrExist) {
		return LoadSecret(path) // another process was first
	} else if err != nil {
		return nil, fmt.Errorf("write the secret: %w", err)
	}
	return secret, nil
}

// writeSecret writes the file through a temporary file, so that a crash never truncates it.
func writeSecret(path string, secret []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".cursor-") // only its owner can read it
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.Write(secret)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Link(file.Name(), path)
}
