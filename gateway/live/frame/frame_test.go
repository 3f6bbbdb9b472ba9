package frame

import "testing"

// What the writing relies on in gorilla/websocket: a server's frames are unmasked, and all that it
// writes by itself goes to the connection that it was given.
func TestFramesAreAsGorillaReadsThem(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 125, 126, 65535, 65536} {
		if got := len(Text(make([]byte, n))) - n; got != map[bool]int{true: 2, false: map[bool]int{true: 4, false: 10}[n <= 65535]}[n <= 125] {
			t.Errorf("a header of %d bytes for %d", got, n)
		}
	}
}
