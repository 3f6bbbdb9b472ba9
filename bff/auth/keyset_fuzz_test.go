package auth

import (
	"strings"
	"testing"
)

func FuzzParseKeySet(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"keys": null}`, `{"keys": [{"kty": "EC"}]}`, `{"keys": [{"kty": "RSA", "kid": "a", "n": "", "e": "AQAB"}]}`,
		`{"keys": [{"kty": "RSA", "n": "!", "e": "!"}]}`,
		`{"keys": [{"kty": "RSA", "n": "` + strings.Repeat("A", 342) + `", "e": "AQAB"}]}`,
		`{"keys": [{"kty": "RSA", "n": "` + strings.Repeat("z", 342) + `", "e": "AA"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseKeySet(text)
		if err != nil {
			return
		}
		for kid, key := range keys {
			if key.N.BitLen() < 2048 || key.E < 3 {
				t.Errorf("key %q is weak: %v", kid, key)
			}
		}
	})
}
