package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes.
type Size int64

// sizeUnit is a unit of ISO/IEC 80000-13 (KiB = 1024 B) or of the SI (kB = 1000 B).
type sizeUnit struct {
	name  string
	bytes int64
}

// sizeUnits are the longest first, so that "KiB" is not parsed as "B".
func sizeUnits() []sizeUnit {
	return []sizeUnit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
	}
}

// ParseSize parses a whole number of bytes with an optional unit in any case, such as "1048576", "1MiB" or "10 MB".
func ParseSize(text string) (Size, error) {
	digits, factor := strings.TrimSpace(text), int64(1)
	for _, unit := range sizeUnits() {
		at := len(digits) - len(unit.name)
		if at > 0 && strings.EqualFold(digits[at:], unit.name) {
			digits, factor = strings.TrimSpace(digits[:at]), unit.bytes
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || int64(n) > math.MaxInt64/factor {
		return 0, fmt.Errorf("%q is not a size: write a whole number of bytes, or one with a unit such as 512KiB, 1MiB or 2GB", text)
	}
	return Size(int64(n) * factor), nil
}

// UnmarshalText is ParseSize.
func (s *Size) UnmarshalText(text []byte) error {
	size, err := ParseSize(string(text))
	if err != nil {
		return err
	}
	*s = size
	return nil
}

// String formats a size for ParseSize: in the largest binary unit that divides it.
func (s Size) String() string {
	for _, unit := range sizeUnits()[:4] {
		if s != 0 && int64(s)%unit.bytes == 0 {
			return strconv.FormatInt(int64(s)/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
