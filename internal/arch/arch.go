// Package arch tests the structure and the language of the tree. It has no code of its own. It refuses imports
// against the order of the layers, packages without exactly one comment or a clear name, functions of more than 80
// lines, retired words of docs/GLOSSARY.md in identifiers and file names, and error reasons that docs/errors.md
// lacks.
package arch
