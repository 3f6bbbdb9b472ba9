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

// Progress receives the progress of reading files, one file at a time.
type Progress interface {
	Start(name string, size int64) // in bytes; -1 when it is unknown
	Add(n int)                     // bytes that were read
	Finish()
}

// NewBar returns a progress bar for a terminal. Without a terminal it prints nothing. The bar is removed
// at the end of its file.
func NewBar(w *os.File) Progress {
	return &bar{to: w, visible: term.IsTerminal(int(w.Fd()))}
}

type bar struct {
	to      *os.File
	visible bool
	current *progressbar.ProgressBar
}

// Start draws the bar of a file.
func (b *bar) Start(name string, size int64) {
	b.current = progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(b.to),
		progressbar.OptionSetVisibility(b.visible),
		progressbar.OptionSetDescription(printable(filepath.Base(name))),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSpinnerType(14),
		progressbar.OptionSetRenderBlankState(true), // the rate is measured from here
	)
}

// Add advances the bar. It ignores drawing errors, which must not end an import.
func (b *bar) Add(n int) { _ = b.current.Add(n) }

// Finish removes the bar.
func (b *bar) Finish() { _ = b.current.Finish() }

func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, name)
}
