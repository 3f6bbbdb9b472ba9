package signing

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

const (
	keyBits  = 2048
	maxFile  = 16 << 10 // bytes; a 4,096 bit key has 3,300
	pemLabel = "PRIVATE KEY"
)

// moveFolder moves the key files of an earlier version into the store, and deletes them. Each process of the account
// service may have had a folder of its own: the tokens under all of these keys stay valid.
func (k *Keys) moveFolder(ctx context.Context) error {
	if k.options.Folder == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(k.options.Folder, "[0-9][0-9][0-9][0-9].pem"))
	if err != nil {
		return fmt.Errorf("list the old signing keys: %w", err)
	}
	slices.Sort(files)
	for _, file := range files {
		if err := k.moveFile(ctx, file); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keys) moveFile(ctx context.Context, file string) error {
	content, err := readPrivate(file)
	if err != nil {
		return err
	}
	private, err := parseKey(content)
	if err != nil {
		return fmt.Errorf("the signing key %s %w: restore it from a backup, or delete it, which ends the sessions of its tokens", file, err)
	}
	old := StoredKey{ID: Thumbprint(&private.PublicKey), PEM: string(content), SignsFrom: k.options.Clock.Now()}
	for {
		stored, err := k.store.SigningKeys(ctx)
		if err != nil {
			return fmt.Errorf("read the signing keys: %w", err)
		}
		if slices.ContainsFunc(stored, func(s StoredKey) bool { return s.ID == old.ID }) {
			break
		}
		old.Number = 1
		if len(stored) > 0 {
			old.Number = stored[len(stored)-1].Number + 1
		}
		if _, err := k.store.AddSigningKey(ctx, old); err != nil { // another process may take the number first
			return fmt.Errorf("store the signing key of %s: %w", file, err)
		}
	}
	if err := os.Remove(file); err != nil {
		return fmt.Errorf("delete the old signing key: %w", err)
	}
	return nil
}

// newKey returns a new key without a number and a time.
func newKey() (StoredKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return StoredKey{}, fmt.Errorf("make a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return StoredKey{}, fmt.Errorf("encode a signing key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: pemLabel, Bytes: der})
	return StoredKey{ID: Thumbprint(&private.PublicKey), PEM: string(text)}, nil
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
