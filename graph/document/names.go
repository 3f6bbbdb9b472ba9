package document

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"

	"github.com/sluicehq/sluice/internal/errs"
)

// maxName is in bytes: a response repeats an alias for every item of a list, and the name of an operation in every
// error.
const maxName = 100

// CheckNames bounds the names in a document before it is parsed.
func CheckNames(text string) error {
	if !hasLongWord(text) {
		return nil // most texts are tokenized only once
	}
	tokens := lexer.New(&ast.Source{Input: text})
	for {
		token, err := tokens.ReadToken()
		if err != nil || token.Kind == lexer.EOF {
			return nil // the parser reports errors
		}
		if token.Kind == lexer.Name && len(token.Value) > maxName {
			return errs.New(errs.InvalidArgument, "NAME_TOO_LONG", "the document has a name, %.20s…, of more than %d letters", token.Value, maxName)
		}
	}
}

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
