package document

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"

	"github.com/sluicehq/sluice/internal/errs"
)

// maxName bounds a name, in bytes: an alias stands in an answer as often as its list is long, and an
// operation's name in each refusal of one of its fields.
const maxName = 100

// CheckNames bounds the names in the text of a document, before it is parsed.
func CheckNames(text string) error {
	if !hasLongWord(text) {
		return nil // most have none, and need not be read twice
	}
	tokens := lexer.New(&ast.Source{Input: text})
	for {
		token, err := tokens.ReadToken()
		if err != nil || token.Kind == lexer.EOF {
			return nil // a fault is the parser's to tell
		}
		if token.Kind == lexer.Name && len(token.Value) > maxName {
			return errs.New(errs.InvalidArgument, "NAME_TOO_LONG", "the document has a name, %.20s…, of more than %d letters", token.Value, maxName)
		}
	}
}

// hasLongWord tells whether so many letters of names stand beside each other, be it in a text.
func hasLongWord(text string) bool {
	run := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '_', '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			if run++; run > maxName {
				return true
			}
		default:
			run = 0
		}
	}
	return false
}
