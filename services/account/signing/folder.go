package signing

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
)

const (
	keyBits  = 2048
	maxKeys  = 16
	maxFile  = 16 << 10 // bytes; a 4,096 bit key has 3,300
	pemLabel = "PRIVATE KEY"
)

func openFolder(folder string) ([]key, error) {
	if err := createFolder(folder); err != nil {
		return nil, err
	}
	names, err := keyFiles(folder)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		// Another process may create the first key at the same time; then both use that key.
		if err := addFile(folder, 1); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if names, err = keyFiles(folder); err != nil {
			return nil, err
		}
	}
	keys := make([]key, len(names))
	for i, name := range names {
		if keys[i], err = readKey(filepath.Join(folder, name)); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// AddKey creates a key in the folder and returns its kid. It signs after the next Open.
func AddKey(folder string) (kid string, err error) {
	if err := createFolder(folder); err != nil {
		return "", err
	}
	names, err := keyFiles(folder)
	if err != nil {
		return "", err
	}
	number := 1
	if len(names) > 0 {
		last, err := strconv.Atoi(names[len(names)-1][:4])
		if err != nil {
			return "", fmt.Errorf("number of the newest signing key: %w", err)
		}
		number = last + 1
	}
	if err := addFile(folder, number); err != nil {
		return "", err
	}
	added, err := readKey(filepath.Join(folder, fileName(number)))
	return added.id, err
}

func fileName(number int) string { return fmt.Sprintf("%04d.pem", number) }

func createFolder(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make the folder of signing keys: %w", err)
	}
	info, err := os.Stat(folder)
	if err != nil {
		return fmt.Errorf("open the folder of signing keys: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others can put signing keys into %s (mode %04o): run chmod 700 %[1]s", folder, info.Mode().Perm())
	}
	return nil
}

func keyFiles(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("list signing keys: %w", err)
	}
	pattern := regexp.MustCompile(`^[0-9]{4}\.pem$`)
	var names []string
	for _, entry := range entries {
		if pattern.MatchString(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	if len(names) > maxKeys {
		return nil, fmt.Errorf("%s holds %d signing keys, at most %d are read: delete the oldest", folder, len(names), maxKeys)
	}
	return names, nil
}

// addFile creates a key file under its final name after its content is synced. It never replaces a file: fs.ErrExist.
func addFile(folder string, number int) error {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return fmt.Errorf("make a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("write a signing key: %w", err)
	}
	file, err := os.CreateTemp(folder, ".new-*") // with mode 0600
	if err != nil {
		return fmt.Errorf("write a signing key: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }() // the file under its final name remains
	err = pem.Encode(file, &pem.Block{Type: pemLabel, Bytes: der})
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write a signing key: %w", err)
	}
	if err := os.Link(file.Name(), filepath.Join(folder, fileName(number))); err != nil {
		return fmt.Errorf("keep a signing key: %w", err)
	}
	return nil
}

func readKey(path string) (key, error) {
	content, err := readPrivate(path)
	if err != nil {
		return key{}, err
	}
	private, err := parseKey(content)
	if err != nil {
		return key{}, fmt.Errorf("the signing key %s %w: restore it from a backup, or delete it, which signs out whoever holds its tokens", path, err)
	}
	return key{id: Thumbprint(&private.PublicKey), private: private}, nil
}

func readPrivate(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open a signing key: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("open a signing key: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others can read the signing key %s (mode %04o): if none has, run chmod 600 %[1]s; else delete it", path, info.Mode().Perm())
	}
	content, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return nil, fmt.Errorf("read a signing key: %w", err)
	}
	return content, nil
}

func parseKey(content []byte) (*rsa.PrivateKey, error) {
	block, rest := pem.Decode(content)
	if block == nil || block.Type != pemLabel || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("is not one PKCS #8 private key in PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("does not read (%w)", err)
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok || private.N.BitLen() < keyBits {
		return nil, fmt.Errorf("is not an RSA key of %d bits or more", keyBits)
	}
	return private, nil
}
