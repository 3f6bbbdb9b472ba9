package importer

import (
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Progress is told how far the reading of files is, one file at a time.
type Progress interface {
	Start(name string, size int64) // in bytes; -1 when it is not known
	Add(n int)                     // bytes that were read
	Finish()
}

// NewBar shows progress as a bar while w is a terminal; else it is silent. The bar is gone when its
// file is finished.
func NewBar(w *os.File) Progress {
	return &bar{to: w, visible: term.IsTerminal(int(w.Fd()))}
}

type bar struct {
	to      *os.File
	visible bool
	current *progressbar.ProgressBar
}

// Start shows the bar of a file.
func (b *bar) Start(name string, size int64) {
	b.current = progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(b.to),
		progressbar.OptionSetVisibility(b.visible),
		progressbar.OptionSetDescription(printable(filepath.Base(name))),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSpinnerType(14),
		progressbar.OptionSetRenderBlankState(true), // the speed counts from here
	)
}

// Add moves the bar on. That it could not be drawn is no reason not to import.
func (b *bar) Add(n int) { _ = b.current.Add(n) }

// Finish clears the bar.
func (b *bar) Finish() { _ = b.current.Finish() }

// printable is the name without what would steer the terminal.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, name)
}
