package arch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// maxLines bounds a function. A longer function has two ideas.
const maxLines = 80

func TestFunctionHasAtMostEightyLines(t *testing.T) {
	t.Parallel()
	for _, p := range handWritten(t) {
		for _, file := range p.files(t) {
			checkLength(t, file)
		}
	}
}

func checkLength(t *testing.T, path string) {
	t.Helper()
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, declaration := range parsed.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok {
			continue
		}
		lines := files.Position(function.End()).Line - files.Position(function.Pos()).Line + 1
		if lines > maxLines {
			t.Errorf("%s: %s has %d lines, at most %d are allowed", path, function.Name.Name, lines, maxLines)
		}
	}
}
