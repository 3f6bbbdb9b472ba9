package apikey_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/services/account/apikey"
)

// known was made by an implementation of the form in another language.
const known = "sluice_AbCd1234_0123456789ABCDEFGHIJKLMNOPQRSTUV0AKL6h"

func TestAKnownKeyReads(t *testing.T) {
	t.Parallel()
	key, err := apikey.Parse(known)
	if err != nil {
		t.Fatal(err)
	}
	if key.Prefix() != "AbCd1234" || key.Reveal() != known || key.Hash() != sha256.Sum256([]byte("0123456789ABCDEFGHIJKLMNOPQRSTUV")) {
		t.Errorf("read as %s, %x", key.Reveal(), key.Hash())
	}
}

func TestNewKeysReadBackAndDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		key := apikey.New()
		back, err := apikey.Parse(key.Reveal())
		if err != nil || back != key {
			t.Fatalf("%s: %v", key.Reveal(), err)
		}
		if seen[key.Prefix()] {
			t.Fatalf("prefix %s comes twice", key.Prefix())
		}
		seen[key.Prefix()] = true
	}
}

func TestTypoInAnAPIKeyIsDetected(t *testing.T) {
	t.Parallel()
	text := apikey.New().Reveal()
	for i := range text {
		for _, letter := range "0Aaz_-" {
			if typo := text[:i] + string(letter) + text[i+1:]; typo != text {
				refuse(t, typo)
			}
		}
		if i > 0 && text[i] != text[i-1] {
			refuse(t, text[:i-1]+text[i:i+1]+text[i-1:i]+text[i+1:])
		}
		refuse(t, text[:i])
		refuse(t, text[:i]+text[i+1:])
	}
	refuse(t, text+"0")
	refuse(t, " "+text)
	refuse(t, strings.ToLower(known))
}

func refuse(t *testing.T, text string) {
	t.Helper()
	if key, err := apikey.Parse(text); err == nil {
		t.Errorf("%q reads as %v", text, key)
	}
}

func TestPrintingAKeyKeepsItsSecret(t *testing.T) {
	t.Parallel()
	key, err := apikey.Parse(known)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb, key); strings.Contains(text, "0123") || !strings.Contains(text, "AbCd1234") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(known)
	f.Add(apikey.New().Reveal())
	f.Add("")
	f.Add("sluice_")
	f.Add(strings.Repeat("_", apikey.Length))
	f.Fuzz(func(t *testing.T, text string) {
		key, err := apikey.Parse(text)
		if err == nil && key.Reveal() != text {
			t.Errorf("%q reads back as %q", text, key.Reveal())
		}
	})
}
