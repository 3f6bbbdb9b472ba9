// Package web carries the pages that the gateway serves, built and committed
// beforehand, so that the binary needs neither Node nor a network: GraphiQL now.
//
// It promises that a page loads nothing from another origin, that every file it
// names is embedded, and that the licences of all that is embedded come with it.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:graphiql/dist
var files embed.FS

// GraphiQLContentSecurityPolicy is the Content-Security-Policy header under
// which GraphiQL works: scripts, workers, fonts and connections (WebSocket
// included) of its own origin only, no eval, no framing. Styles may be inline
// because the editor writes its theme into the page.
const GraphiQLContentSecurityPolicy = "default-src 'none'; " +
	"script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"font-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// GraphiQL returns the files of the GraphiQL page: index.html, assets/,
// LICENSES.txt and manifest.json.
//
// The page must be served under a path that ends in a slash, for its URLs are
// relative: served at /graphiql/ it talks to /graphql, and at /x/graphiql/ to
// /x/graphql. The names in assets/ carry a hash of the content, so these files
// may be cached for ever; index.html must be asked for each time.
func GraphiQL() fs.FS {
	// Sub fails on an invalid path only, and this one is a constant.
	dist, _ := fs.Sub(files, "graphiql/dist")
	return dist
}
