package eventstream

import (
	"strings"
	"testing"
)

func FuzzCursor(f *testing.F) {
	c, err := NewCursors([]byte("secret"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("", uint32(0), uint64(0))
	f.Add(c.Encode(Position{1, 2}), uint32(1), uint64(2))
	f.Add(strings.Repeat("A", 31), uint32(1<<31), uint64(1<<63))
	f.Fuzz(func(t *testing.T, text string, epoch uint32, sequence uint64) {
		want := Position{epoch, sequence}
		cursor := c.Encode(want)
		if got, err := c.Decode(cursor); err != nil || got != want {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
		if got, err := c.Decode(text); err == nil && c.Encode(got) != text {
			t.Errorf("%q was decoded as %+v", text, got)
		}
	})
}

func TestCursorOfAnotherKeyOrChangedIsRefused(t *testing.T) {
	t.Parallel()
	one, err := NewCursors([]byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := NewCursors([]byte("two"))
	if err != nil {
		t.Fatal(err)
	}
	cursor := one.Encode(Position{7, 42})
	if len(cursor) > 40 {
		t.Errorf("a cursor of %d bytes", len(cursor))
	}
	if _, err := two.Decode(cursor); err == nil {
		t.Error("a cursor of another key was accepted")
	}
	for i := range cursor { // a change of any character is detected
		changed := cursor[:i] + string(cursor[i]^1) + cursor[i+1:]
		if _, err := one.Decode(changed); err == nil {
			t.Errorf("%q was accepted", changed)
		}
	}
}
