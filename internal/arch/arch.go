// Package arch holds the tests of the source tree's structure and language.
//
// It has no code of its own. Its tests run `go list` and the Go parser over the whole tree and fail when
//
//   - a package imports against the order of the layers (imports_test.go),
//   - a package has no package comment, or more than one, or a name that says nothing (packages_test.go),
//   - a function is longer than 80 lines (functions_test.go),
//   - an identifier or a file name has a word that docs/GLOSSARY.md retires (words_test.go),
//   - an error reason is missing from docs/errors.md (reasons_test.go).
package arch
