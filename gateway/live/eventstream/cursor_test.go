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
	f.Add(c.Write(Position{1, 2}), uint32(1), uint64(2))
	f.Add(strings.Repeat("A", 31), uint32(1<<31), uint64(1<<63))
	f.Fuzz(func(t *testing.T, text string, epoch uint32, sequence uint64) {
		want := Position{epoch, sequence}
		cursor := c.Write(want)
		if got, err := c.Read(cursor); err != nil || got != want {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
		if got, err := c.Read(text); err == nil && c.Write(got) != text {
			t.Errorf("%q was taken for %+v", text, got)
		}
	})
}

func TestCursorsAreOfTheirKey(t *testing.T) {
	t.Parallel()
	one, err := NewCursors([]byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := NewCursors([]byte("two"))
	if err != nil {
		t.Fatal(err)
	}
	cursor := one.Write(Position{7, 42})
	if len(cursor) > 40 {
		t.Errorf("a cursor of %d bytes", len(cursor))
	}
	if _, err := two.Read(cursor); err == nil {
		t.Error("a cursor of another key was read")
	}
	for i := range cursor { // changing any letter is noticed
		changed := cursor[:i] + string(cursor[i]^1) + cursor[i+1:]
		if _, err := one.Read(changed); err == nil {
			t.Errorf("%q was read", changed)
		}
	}
}

func TestASecretIsKept(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/deep/cursors.key"
	first, err := KeptSecret(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := KeptSecret(path); err != nil || string(again) != string(first) {
		t.Errorf("then it was %x, %v", again, err)
	}
}
