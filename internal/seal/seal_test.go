package seal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluicehq/sluice/internal/seal"
)

const (
	oldKey = "an old key of at least 32 bytes…"
	newKey = "a new key that is 32 bytes or longer"
)

func keysOf(t *testing.T, texts ...string) *seal.Keys {
	t.Helper()
	keys, err := seal.New(texts...)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestSealedTextOpensAtItsPlaceOnly(t *testing.T) {
	t.Parallel()
	keys := keysOf(t, oldKey)
	one, two := keys.Seal("row 1", "hunter2"), keys.Seal("row 1", "hunter2")
	if strings.Contains(one, "hunter2") || one == two || !seal.IsSealed(one) {
		t.Errorf("%q, %q", one, two)
	}
	if text, err := keys.Open("row 1", one); text != "hunter2" || err != nil {
		t.Errorf("opened %q, %v", text, err)
	}
	for name, sealed := range map[string]string{
		"moved": one, "plain": "hunter2", "cut": one[:len(one)-4], "changed": one[:len(one)-2] + "AA", "empty": "", "no base64": one + "!",
	} {
		place := "row 1"
		if name == "moved" {
			place = "row 2"
		}
		if text, err := keys.Open(place, sealed); err == nil || text != "" {
			t.Errorf("%s: opened %q", name, text)
		}
	}
}

func TestRotatedKeyStillOpens(t *testing.T) {
	t.Parallel()
	before := keysOf(t, oldKey)
	sealed := before.Seal("p", "s")
	if _, err := seal.Parse(strings.Repeat("n", 32) + ",\n" + strings.Repeat("o", 32)); err != nil {
		t.Fatal(err)
	}
	after := keysOf(t, newKey, oldKey)
	if text, err := after.Open("p", sealed); text != "s" || err != nil || after.Current(sealed) {
		t.Errorf("opened %q, %v", text, err)
	}
	again := after.Seal("p", "s")
	if _, err := before.Open("p", again); !errors.Is(err, seal.ErrUnknownKey) || !after.Current(again) {
		t.Errorf("the old key: %v", err)
	}
	if old, now := before.Derive("u", []byte("d")), after.Derive("u", []byte("d")); !bytes.Equal(now[1], old[0]) || bytes.Equal(now[0], old[0]) {
		t.Error("a derived secret does not follow from its key")
	}
	if bytes.Equal(before.Derive("u", []byte("d"))[0], before.Derive("v", []byte("d"))[0]) {
		t.Error("two purposes have one secret")
	}
}

func TestKeyThatIsTooShortIsRefused(t *testing.T) {
	t.Parallel()
	for _, texts := range [][]string{nil, {"short"}, {newKey, "short"}} {
		if _, err := seal.New(texts...); err == nil {
			t.Errorf("%q pass", texts)
		}
	}
}

func TestFileIsCreatedOnceAndPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sealing.key")
	var all sync.WaitGroup
	sealed := make([]string, 8)
	for i := range sealed {
		all.Go(func() {
			keys, err := seal.Load(path)
			if err != nil {
				t.Error(err)
				return
			}
			sealed[i] = keys.Seal("p", "s")
		})
	}
	all.Wait()
	keys, err := seal.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range sealed {
		if _, err := keys.Open("p", one); err != nil {
			t.Errorf("two processes have two keys: %v", err)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Load(path); err == nil {
		t.Error("a key that others can read is used")
	}
}
