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
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/services/account"
	"github.com/sluicehq/sluice/services/account/signing"
)

func open(t *testing.T, store signing.Store) *signing.Keys {
	t.Helper()
	keys, err := signing.Open(t.Context(), store, signing.Options{})
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
	keys := open(t, &signing.Memory{})
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
	keys := open(t, &signing.Memory{})
	good := sign(t, keys, claims())
	expired := claims()
	expired.ExpiresAt = time.Now().Add(-time.Second)
	parts := strings.Split(good, ".")
	forged := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"account_1","role":"ADMIN","aud":"sluice","iss":"sluice","exp":4102444800}`))
	for name, token := range map[string]string{
		"expired":                 sign(t, keys, expired),
		"tampered":                parts[0] + "." + forged + "." + parts[2],
		"of another installation": sign(t, open(t, &signing.Memory{}), claims()),
		"cut short":               good[:len(good)-4],
	} {
		if _, err := verify(keys.KeySet(), token); err == nil {
			t.Errorf("a token that is %s reads", name)
		}
	}
}

func TestThePublishedSetHoldsNothingPrivate(t *testing.T) {
	t.Parallel()
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(open(t, &signing.Memory{}).KeySet(), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%v, %v", set, err)
	}
	for name := range set.Keys[0] {
		if !strings.Contains(" kty use alg kid n e ", " "+name+" ") {
			t.Errorf("%s is published", name)
		}
	}
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	read, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(read.Header["kid"])
}

func pass(t *testing.T, keys *signing.Keys) {
	t.Helper()
	if err := keys.Loop().Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRotatedKeyIsPublishedBeforeItSignsAndReplacedKeyUntilItsTokensExpire(t *testing.T) {
	t.Parallel()
	clk, store := clock.NewManual(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), &signing.Memory{}
	options := signing.Options{Clock: clk, Rotation: 90 * 24 * time.Hour, TokenTTL: 15 * time.Minute}
	processes := make([]*signing.Keys, 2)
	for i := range processes {
		var err error
		if processes[i], err = signing.Open(t.Context(), store, options); err != nil {
			t.Fatal(err)
		}
	}
	rotating, other := processes[0], processes[1]
	first := kidOf(t, sign(t, rotating, claims()))
	clk.Advance(options.Rotation)
	for _, keys := range []*signing.Keys{rotating, other, rotating} { // both find that the key is old
		pass(t, keys)
	}
	if n := len(rotating.List()); n != 2 {
		t.Fatalf("%d keys after the rotation, want 2", n)
	}
	second := rotating.List()[1].ID
	for _, step := range []struct {
		advance time.Duration
		kid     string
		keys    int
	}{
		{signing.PublishLead - time.Second, first, 2},
		{time.Second, second, 2},
		{signing.PublishLead + options.TokenTTL - time.Second, second, 2},
		{time.Second, second, 1},
	} {
		clk.Advance(step.advance)
		for name, keys := range map[string]*signing.Keys{"rotating": rotating, "other": other} {
			pass(t, keys)
			if kid := kidOf(t, sign(t, keys, claims())); kid != step.kid || len(keys.List()) != step.keys {
				t.Errorf("the %s process at %v: %d keys, signs with %s, want %d, %s", name, clk.Now(), len(keys.List()), kid, step.keys, step.kid)
			}
			if !strings.Contains(string(keys.KeySet()), second) {
				t.Errorf("the %s process at %v does not publish the new key", name, clk.Now())
			}
		}
	}
}

func TestManyFirstStartsMakeOneKey(t *testing.T) {
	t.Parallel()
	store := &signing.Memory{}
	sets := make([]string, 4)
	var starts sync.WaitGroup
	for i := range sets {
		starts.Go(func() {
			if keys, err := signing.Open(t.Context(), store, signing.Options{}); err != nil {
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
}

// fileOf writes the key of an earlier version's folder and returns a token under it.
func fileOf(t *testing.T, folder string) (file, token string) {
	t.Helper()
	var old signing.Memory
	token = sign(t, open(t, &old), claims())
	stored, err := old.SigningKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(folder, "0001.pem")
	if err := os.WriteFile(file, []byte(stored[0].PEM), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, token
}

func TestFoldersOfTwoProcessesAreMovedIntoTheStore(t *testing.T) {
	t.Parallel()
	store := &signing.Memory{}
	var tokens []string
	var keys *signing.Keys
	for range 2 {
		folder := t.TempDir()
		file, token := fileOf(t, folder)
		tokens = append(tokens, token)
		var err error
		if keys, err = signing.Open(t.Context(), store, signing.Options{Folder: folder}); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the plain key is still in the folder: %v", err)
		}
	}
	for _, token := range tokens {
		if _, err := verify(keys.KeySet(), token); err != nil {
			t.Errorf("a token under a key of a folder: %v", err)
		}
	}
}

func TestUnreadableKeyFileIsRefused(t *testing.T) {
	t.Parallel()
	write := func(content string) func(file string) error {
		return func(file string) error { return os.WriteFile(file, []byte(content), 0o600) }
	}
	for name, c := range map[string]struct {
		spoil func(file string) error
		want  string
	}{
		"others read the key":      {func(file string) error { return os.Chmod(file, 0o640) }, "chmod 600"},
		"an empty file":            {write(""), "restore it"},
		"a key that is cut short":  {func(file string) error { return os.Truncate(file, 500) }, "restore it"},
		"PEM of something else":    {write("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "restore it"},
		"a folder instead of file": {func(file string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) }, "0001.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			file, _ := fileOf(t, folder)
			if err := c.spoil(file); err != nil {
				t.Fatal(err)
			}
			_, err := signing.Open(t.Context(), &signing.Memory{}, signing.Options{Folder: folder})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
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
