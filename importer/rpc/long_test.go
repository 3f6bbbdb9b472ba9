package rpc_test

import (
	"bytes"
	"io"
	"io/fs"
	"runtime"
	"time"
)

// madeFile makes its rows as they are read.
type madeFile struct {
	head string
	rows int
	row  func(out *bytes.Buffer, i int)

	made int
	left bytes.Buffer
}

func (f *madeFile) Read(p []byte) (int, error) {
	if f.head != "" {
		f.left.WriteString(f.head)
		f.head = ""
	}
	for f.left.Len() < len(p) && f.made < f.rows {
		f.row(&f.left, f.made)
		f.made++
	}
	if f.left.Len() == 0 {
		return 0, io.EOF
	}
	return f.left.Read(p)
}

func (f *madeFile) Close() error               { return nil }
func (f *madeFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f *madeFile) Name() string               { return "made" }
func (f *madeFile) Size() int64                { return 0 }
func (f *madeFile) Mode() fs.FileMode          { return fs.ModeNamedPipe }
func (f *madeFile) ModTime() time.Time         { return time.Time{} }
func (f *madeFile) IsDir() bool                { return false }
func (f *madeFile) Sys() any                   { return nil }

// heapWatch looks at the live heap at every 256 KiB that are read.
type heapWatch struct {
	before, peak uint64
	read         int
}

func (h *heapWatch) Start(string, int64) { h.before = liveHeap() }

func (h *heapWatch) Add(n int) {
	if h.read/(256<<10) != (h.read+n)/(256<<10) {
		h.peak = max(h.peak, liveHeap())
	}
	h.read += n
}

func (h *heapWatch) Finish() {}

func (h *heapWatch) grown() uint64 { return h.peak - min(h.peak, h.before) }

func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools keep over one collection
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
