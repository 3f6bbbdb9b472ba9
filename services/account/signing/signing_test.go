package signing_test

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/services/account"
	"github.com/sluicehq/sluice/services/account/signing"
)

func open(t *testing.T, folder string) *signing.Keys {
	t.Helper()
	keys, err := signing.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func claims() account.Claims {
	now := time.Now().UTC().Truncate(time.Second)
	return account.Claims{
		ID: "jti-1", Issuer: "sluice", Audience: account.Audience, AccountID: "account_1", SessionID: "session_1",
		Role: caller.Operator, IssuedAt: now, ExpiresAt: now.Add(15 * time.Minute),
	}
}

func sign(t *testing.T, keys *signing.Keys, c account.Claims) string {
	t.Helper()
	token, err := keys.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// verify reads a token as anybody would who has nothing but the published key set.
func verify(set []byte, token string) (jwt.MapClaims, error) {
	read := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, read, func(token *jwt.Token) (any, error) {
		return published(set, fmt.Sprint(token.Header["kid"]))
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(account.Audience), jwt.WithIssuer("sluice"), jwt.WithExpirationRequired())
	return read, err
}

func published(set []byte, kid string) (*rsa.PublicKey, error) {
	var read struct {
		Keys []struct{ Kty, Use, Alg, Kid, N, E string }
	}
	if err := json.Unmarshal(set, &read); err != nil {
		return nil, err
	}
	for _, k := range read.Keys {
		if k.Kid != kid || k.Kty != "RSA" || k.Use != "sig" || k.Alg != "RS256" {
			continue
		}
		n, err1 := base64.RawURLEncoding.DecodeString(k.N)
		e, err2 := base64.RawURLEncoding.DecodeString(k.E)
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, errors.Join(err1, err2)
	}
	return nil, errors.New("no such key")
}

func TestATokenReadsUnderThePublishedKeys(t *testing.T) {
	t.Parallel()
	keys := open(t, filepath.Join(t.TempDir(), "deep", "keys"))
	want := claims()
	got, err := verify(keys.KeySet(), sign(t, keys, want))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{
		"jti": want.ID, "iss": want.Issuer, "sub": want.AccountID, "sid": want.SessionID, "role": "OPERATOR",
		"iat": float64(want.IssuedAt.Unix()), "exp": float64(want.ExpiresAt.Unix()),
	} {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
}

func TestOtherTokensDoNotRead(t *testing.T) {
	t.Parallel()
	keys := open(t, t.TempDir())
	good := sign(t, keys, claims())
	expired := claims()
	expired.ExpiresAt = time.Now().Add(-time.Second)
	parts := strings.Split(good, ".")
	forged := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"account_1","role":"ADMIN","aud":"sluice","iss":"sluice","exp":4102444800}`))
	for name, token := range map[string]string{
		"expired":          sign(t, keys, expired),
		"tampered":         parts[0] + "." + forged + "." + parts[2],
		"of another house": sign(t, open(t, t.TempDir()), claims()),
		"cut short":        good[:len(good)-4],
	} {
		if _, err := verify(keys.KeySet(), token); err == nil {
			t.Errorf("a token that is %s reads", name)
		}
	}
}

func TestThePublishedSetHoldsNothingPrivate(t *testing.T) {
	t.Parallel()
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(open(t, t.TempDir()).KeySet(), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%v, %v", set, err)
	}
	for name := range set.Keys[0] {
		if !strings.Contains(" kty use alg kid n e ", " "+name+" ") {
			t.Errorf("%s is published", name)
		}
	}
}

func TestKeysStayAndTheNewestSigns(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first := open(t, folder)
	old := sign(t, first, claims())
	if again := open(t, folder); string(again.KeySet()) != string(first.KeySet()) {
		t.Fatal("another start, other keys")
	}
	kid, err := signing.AddKey(folder)
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, folder)
	fresh := sign(t, second, claims())
	for name, token := range map[string]string{"old": old, "fresh": fresh} {
		if _, err := verify(second.KeySet(), token); err != nil {
			t.Errorf("the %s token: %v", name, err)
		}
	}
	if _, err := verify(first.KeySet(), fresh); err == nil {
		t.Error("the fresh token is signed under the old key")
	}
	if header, err := base64.RawURLEncoding.DecodeString(strings.Split(fresh, ".")[0]); err != nil || !strings.Contains(string(header), kid) {
		t.Errorf("header %s does not name key %s", header, kid)
	}
}

func TestManyFirstStartsMakeOneKey(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	sets := make([]string, 4)
	var starts sync.WaitGroup
	for i := range sets {
		starts.Go(func() {
			if keys, err := signing.Open(folder); err != nil {
				t.Error(err)
			} else {
				sets[i] = string(keys.KeySet())
			}
		})
	}
	starts.Wait()
	for _, set := range sets {
		if set != sets[0] {
			t.Error("they made several keys")
		}
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) != 1 {
		t.Errorf("%v are left, %v", files, err)
	}
}

func TestOnlyTheOwnerReadsTheFiles(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "keys")
	open(t, folder)
	for path, want := range map[string]os.FileMode{folder: 0o700, filepath.Join(folder, "0001.pem"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
	}
}

func TestBadFoldersAreRefusedWithAWordOnWhatToDo(t *testing.T) {
	t.Parallel()
	write := func(content string) func(file string) error {
		return func(file string) error { return os.WriteFile(file, []byte(content), 0o600) }
	}
	for name, c := range map[string]struct {
		spoil func(file string) error
		want  string
	}{
		"others read the key":      {func(file string) error { return os.Chmod(file, 0o640) }, "chmod 600"},
		"others write the folder":  {func(file string) error { return os.Chmod(filepath.Dir(file), 0o777) }, "chmod 700"},
		"an empty file":            {write(""), "restore it"},
		"a key that is cut short":  {func(file string) error { return os.Truncate(file, 500) }, "restore it"},
		"PEM of something else":    {write("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "restore it"},
		"a folder instead of file": {func(file string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) }, "0001.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "keys")
			open(t, folder)
			if err := c.spoil(filepath.Join(folder, "0001.pem")); err != nil {
				t.Fatal(err)
			}
			if _, err := signing.Open(folder); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestThumbprintOfTheStandardsExample(t *testing.T) {
	t.Parallel()
	n, err := base64.RawURLEncoding.DecodeString("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs" +
		"tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI" +
		"SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw")
	if err != nil {
		t.Fatal(err)
	}
	// RFC 7638 section 3.1.
	if got := signing.Thumbprint(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}); got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("got %s", got)
	}
}
