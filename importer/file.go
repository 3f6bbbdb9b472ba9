package importer

import (
	"fmt"
	"io/fs"
	"os"
)

// File is a file to import.
type File struct {
	Name string // for reports and errors; also the default name of a device
	Open func() (fs.File, error)
}

// OnDisk returns the file at the path; "-" is standard input.
func OnDisk(path string) File {
	if path == "-" {
		return File{Name: "standard input", Open: func() (fs.File, error) { return os.Stdin, nil }}
	}
	return File{Name: path, Open: func() (fs.File, error) { return os.Open(path) }}
}

// In returns the file at the path in a file system.
func In(files fs.FS, path string) File {
	return File{Name: path, Open: func() (fs.File, error) { return files.Open(path) }}
}

// unknownSize is the size of a pipe.
const unknownSize = -1

func (f File) open(progress Progress) (*watched, error) {
	opened, err := f.Open()
	if err != nil {
		return nil, err // the error names the path
	}
	info, err := opened.Stat()
	if err != nil {
		_ = opened.Close() // closing a file without writes cannot lose data
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	if info.IsDir() {
		_ = opened.Close() // as above
		return nil, fmt.Errorf("%s is a folder: name the files in it", f.Name)
	}
	size := int64(unknownSize)
	if info.Mode().IsRegular() {
		size = info.Size()
	}
	if progress != nil {
		progress.Start(f.Name, size)
	}
	return &watched{File: opened, progress: progress}, nil
}

// watched is an open file that reports its reads to progress.
type watched struct {
	fs.File
	progress Progress
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.File.Read(p)
	if w.progress != nil && n > 0 {
		w.progress.Add(n)
	}
	return n, err
}

// Close implements io.Closer.
func (w *watched) Close() error {
	if w.progress != nil {
		w.progress.Finish()
	}
	return w.File.Close()
}
