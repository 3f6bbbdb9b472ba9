package graph

import (
	"log/slog"

	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/graph/exec"
	"github.com/sluicehq/sluice/internal/obs"
)

// parsedDocuments is how many parsed and validated documents are kept.
const parsedDocuments = 1000

// Options are what a server needs beside its resolver.
type Options struct {
	Limits  document.Limits
	Tokens  int // most tokens of a document
	Logger  *slog.Logger
	Tracing *obs.Tracing
}

// NewServer gives what executes operations. It has no transport yet: bff/edge adds those.
func NewServer(resolver *Resolver, options Options) *handler.Server {
	server := handler.New(exec.NewExecutableSchema(exec.Config{Resolvers: resolver}))
	server.SetErrorPresenter(Present(options.Logger))
	server.SetRecoverFunc(Recover)
	server.SetParserTokenLimit(options.Tokens)
	server.SetQueryCache(lru.New[*ast.QueryDocument](parsedDocuments))
	server.Use(extension.Introspection{})
	server.Use(&operation{ports: resolver.Ports, limits: options.Limits, tracing: options.Tracing})
	return server
}
