package config_test

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/config"
)

func TestParseSizeAcceptsUnits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Size{
		"0": 0, "1": 1, "12B": 12, "1KiB": 1024, "1 kib": 1024, "3KB": 3000, "1MiB": 1 << 20, "2GB": 2e9, " 1TiB ": 1 << 40,
		"9223372036854775807": 1<<63 - 1,
	} {
		if got, err := config.ParseSize(text); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "B", "MiB", "-1", "+1", "1.5GiB", "1XB", "1e3", "1_000", "9223372036854775808", "9999999999GiB", "1 MiB MiB", "0x10"} {
		if got, err := config.ParseSize(text); err == nil || !strings.Contains(err.Error(), "is not a size") {
			t.Errorf("%q: %d, %v; want an error", text, got, err)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, seed := range []string{"1", "1MiB", "12 GB", "-1", "B", "9223372036854775807"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size, err := config.ParseSize(text)
		if err != nil {
			return
		}
		if again, err := config.ParseSize(size.String()); size < 0 || again != size || err != nil {
			t.Errorf("%q is %d, written %s, read back %d, %v", text, size, size, again, err)
		}
	})
}
