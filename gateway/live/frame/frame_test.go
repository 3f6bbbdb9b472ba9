package frame

import "testing"

// The headers have the lengths of RFC 6455, section 5.2, without a mask, as a server must send them.
func TestTextFrameHeaderGrowsWithLength(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{0: 2, 125: 2, 126: 4, 65535: 4, 65536: 10} {
		if got := len(Text(make([]byte, n))) - n; got != want {
			t.Errorf("a payload of %d bytes has a header of %d bytes, want %d", n, got, want)
		}
	}
}
