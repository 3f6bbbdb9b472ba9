// Package web embeds the pages that the gateway serves: GraphiQL, built and committed beforehand. A page loads
// nothing from another origin. All its files and their licences are embedded.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:graphiql/dist
var files embed.FS

// GraphiQLContentSecurityPolicy is the Content-Security-Policy header for GraphiQL: scripts, workers, fonts and
// connections (including WebSocket) of its own origin only, no eval, no framing. Inline styles are allowed,
// because the editor writes its theme into the page.
const GraphiQLContentSecurityPolicy = "default-src 'none'; " +
	"script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"font-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// GraphiQL returns the files of the GraphiQL page: index.html, assets/, LICENSES.txt and manifest.json. Its path must
// end in a slash, because its URLs are relative: at /graphiql/ it calls /graphql. The names in assets/ contain a hash
// of the content, so clients may cache them without expiry; index.html must be revalidated.
func GraphiQL() fs.FS {
	// Sub fails only for an invalid path, and this one is a constant.
	dist, _ := fs.Sub(files, "graphiql/dist")
	return dist
}
