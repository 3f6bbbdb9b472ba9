package importer

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestProgressWithoutTerminalPrintsNothing(t *testing.T) {
	t.Parallel()
	out, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	r, err := OnDisk("progress_test.go").open(NewBar(out))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := out.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("the bar wrote %v, %v", info, err)
	}
}

type noted struct {
	name           string
	size, read     int64
	starts, finish int
}

func (n *noted) Start(name string, size int64) { n.name, n.size, n.starts = name, size, n.starts+1 }
func (n *noted) Add(bytes int)                 { n.read += int64(bytes) }
func (n *noted) Finish()                       { n.finish++ }

func TestProgressCountsBytesOfFile(t *testing.T) {
	t.Parallel()
	var got noted
	r, err := OnDisk("progress_test.go").open(&got)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	size := int64(len(text))
	if want := (noted{name: "progress_test.go", size: size, read: size, starts: 1, finish: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestProgressNamesHaveNoControlCharacters(t *testing.T) {
	t.Parallel()
	if got := printable("a\x1b[2Jb\r.csv"); got != "a\uFFFD[2Jb\uFFFD.csv" {
		t.Errorf("%q", got)
	}
}
