package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// retiredWord is a row of the table "Retired words" of docs/GLOSSARY.md.
type retiredWord struct {
	word, use string
	folders   []string // empty: the whole tree
}

// retiredWords reads the table. Its columns are: words, terms to use, folders ("everywhere" is the whole tree).
func retiredWords(t *testing.T) []retiredWord {
	t.Helper()
	text, err := os.ReadFile("../../docs/GLOSSARY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "## Retired words")
	if !found {
		t.Fatal("docs/GLOSSARY.md has no section \"Retired words\"")
	}
	var all []retiredWord
	for _, line := range strings.Split(table, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(cells[1], "---") || strings.TrimSpace(cells[1]) == "retired" {
			continue
		}
		var folders []string
		if where := strings.TrimSpace(cells[3]); where != "everywhere" {
			folders = strings.Fields(strings.NewReplacer(",", " ", "`", " ").Replace(where))
		}
		for _, word := range strings.Fields(strings.ReplaceAll(cells[1], ",", " ")) {
			all = append(all, retiredWord{word, strings.TrimSpace(cells[2]), folders})
		}
	}
	if len(all) < 40 {
		t.Fatalf("only %d retired words found: the table no longer has the form that this test reads", len(all))
	}
	return all
}

// wordsOf splits an identifier or a file name into lower-case words: "openDoor_test.go" is open, door, test, go.
func wordsOf(name string) []string {
	var words []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
			word = nil
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		startsWord := unicode.IsUpper(r) && i > 0 &&
			(unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if startsWord || !unicode.IsLetter(r) {
			flush()
		}
		if unicode.IsLetter(r) {
			word = append(word, r)
		}
	}
	flush()
	return words
}

func TestNameSplitsIntoWords(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"openDoor":           {"open", "door"},
		"HTTPRequest":        {"http", "request"},
		"setup_test.go":      {"setup", "test", "go"},
		"TestDoorstepIsSlow": {"test", "doorstep", "is", "slow"},
		"x":                  {"x"},
	} {
		if got := wordsOf(name); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// identifiers returns the names that a file declares or uses, without names of other packages.
func identifiers(t *testing.T, path string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	ast.Inspect(parsed, func(node ast.Node) bool {
		if identifier, ok := node.(*ast.Ident); ok {
			names[identifier.Name] = true
		}
		return true
	})
	all := make([]string, 0, len(names))
	for name := range names {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func TestIdentifierOrFileWithARetiredWordIsRefused(t *testing.T) {
	t.Parallel()
	retired := retiredWords(t)
	for _, p := range handWritten(t) {
		for _, file := range p.files(t) {
			for _, name := range append(identifiers(t, file), filepath.Base(file)) {
				words := wordsOf(name)
				for _, r := range retired {
					if (len(r.folders) == 0 || under(p.path(), r.folders...)) && slices.Contains(words, r.word) {
						t.Errorf("%s/%s: %s has the retired word %q: use %s", p.path(), filepath.Base(file), name, r.word, r.use)
					}
				}
			}
		}
	}
}
