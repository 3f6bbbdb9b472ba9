package pipeline

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"strings"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/maypok86/otter/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/sluicehq/sluice/graph/document"
	"github.com/sluicehq/sluice/graph/plan"
	"github.com/sluicehq/sluice/internal/errs"
)

const (
	// maxDocumentBytes bounds the estimated bytes of the cached documents.
	maxDocumentBytes = 64 << 20
	bytesALetter     = 24  // of a document, parsed
	bytesANode       = 700 // of a plan
)

// documents caches documents by the hash of their text: parsed and validated, with scopes, cost and plans. HTTP,
// WebSocket and the groups of subscriptions share it. Its bound is in estimated bytes.
type documents struct {
	schema *ast.Schema
	limits document.Limits
	tokens int
	cache  *otter.Cache[[sha256.Size]byte, *preparedDocument]
}

var _ graphql.Cache[*ast.QueryDocument] = (*documents)(nil)

type preparedDocument struct {
	hash       [sha256.Size]byte
	letters    int
	parsed     *ast.QueryDocument
	operations map[*ast.OperationDefinition]*preparedOperation
	nodes      atomic.Int64 // of its plans, at the last update
}

// preparedOperation is the analysis of an operation.
type preparedOperation struct {
	*document.Prepared
	of      *preparedDocument
	plans   plan.Operation
	weighed atomic.Int64 // nodes of its plans that its document counts
}

func newDocuments(schema *ast.Schema, limits document.Limits, tokens int) (*documents, error) {
	cache, err := otter.New(&otter.Options[[sha256.Size]byte, *preparedDocument]{
		MaximumWeight: maxDocumentBytes,
		Weigher:       func(_ [sha256.Size]byte, d *preparedDocument) uint32 { return d.weight() },
	})
	if err != nil {
		return nil, fmt.Errorf("keep documents: %w", err)
	}
	return &documents{schema: schema, limits: limits, tokens: tokens, cache: cache}, nil
}

// Get returns the cached document of a text to gqlgen's executor, and attaches it to the request.
func (d *documents) Get(ctx context.Context, text string) (*ast.QueryDocument, bool) {
	if found := remembered(ctx); found != nil {
		return found.parsed, true // check has looked it up
	}
	found, ok := d.cache.GetIfPresent(sha256.Sum256([]byte(text)))
	if !ok {
		return nil, false
	}
	remember(ctx, found)
	return found.parsed, true
}

// check bounds a document that is not cached, before gqlgen's executor validates it.
func (d *documents) check(ctx context.Context, text string) error {
	if _, known := d.Get(ctx, text); known {
		return nil
	}
	if err := document.CheckNames(text); err != nil {
		return err
	}
	parsed, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, d.tokens)
	switch {
	case err == nil:
		return document.Check(parsed, d.limits)
	case strings.HasPrefix(err.Error(), "input: exceeded token limit"):
		return errs.New(errs.InvalidArgument, "TOO_MANY_TOKENS", "the document has more than %d tokens", d.tokens)
	}
	return nil // the executor finds the same error
}

// Add caches a document that gqlgen's executor has parsed and validated.
func (d *documents) Add(ctx context.Context, text string, parsed *ast.QueryDocument) {
	prepared := &preparedDocument{
		hash: sha256.Sum256([]byte(text)), letters: len(text), parsed: parsed,
		operations: make(map[*ast.OperationDefinition]*preparedOperation, len(parsed.Operations)),
	}
	for _, operation := range parsed.Operations {
		prepared.operations[operation] = &preparedOperation{Prepared: document.Prepare(d.schema, operation), of: prepared}
	}
	d.cache.Set(prepared.hash, prepared)
	remember(ctx, prepared)
}

// updateWeight updates the estimated bytes of a document after new plans.
func (d *documents) updateWeight(op *preparedOperation) {
	nodes := int64(op.plans.Nodes())
	if more := nodes - op.weighed.Swap(nodes); more != 0 {
		op.of.nodes.Add(more)
		d.cache.Set(op.of.hash, op.of)
	}
}

func (d *preparedDocument) weight() uint32 {
	return uint32(min(int64(d.letters)*bytesALetter+d.nodes.Load()*bytesANode, math.MaxUint32))
}

// documentKey is gqlgen's key of the request's document.
const documentKey = "document"

func remember(ctx context.Context, d *preparedDocument) {
	if graphql.HasOperationContext(ctx) {
		graphql.GetOperationContext(ctx).Stats.SetExtension(documentKey, d)
	}
}

func remembered(ctx context.Context) *preparedDocument {
	if !graphql.HasOperationContext(ctx) {
		return nil
	}
	d, _ := graphql.GetOperationContext(ctx).Stats.GetExtension(documentKey).(*preparedDocument)
	return d
}

// PreparedOf returns the analysis of the request's operation.
func PreparedOf(request *graphql.OperationContext) *document.Prepared {
	return preparedOf(request).Prepared
}

func preparedOf(request *graphql.OperationContext) *preparedOperation {
	d, _ := request.Stats.GetExtension(documentKey).(*preparedDocument)
	if d == nil {
		return nil
	}
	return d.operations[request.Operation]
}
