package pipeline

import (
	"context"
	"encoding/json"

	"github.com/99designs/gqlgen/graphql"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/errs"
)

// namedKey is gqlgen's key of the document that a request named.
const namedKey = "named"

// DocumentOf returns the persisted document of the operation. Its ID is "" for a document sent as text.
func DocumentOf(request *graphql.OperationContext) bff.Document {
	named, _ := request.Stats.GetExtension(namedKey).(bff.Document)
	return named
}

// find sets the text of the document that the request names.
func (o *operation) find(ctx context.Context, params *graphql.RawParams) error {
	name, err := nameOf(params)
	if err != nil {
		return err
	}
	if o.persisted == nil {
		if params.Query == "" {
			return errs.New(errs.PersistedQueryNotSupported, "PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
		}
		return nil
	}
	found, err := o.persisted.Find(ctx, name)
	if err != nil {
		return err
	}
	params.Query = found.Text
	if found.ID != "" {
		graphql.GetOperationContext(ctx).Stats.SetExtension(namedKey, found)
	}
	return nil
}

// nameOf reads the name of the document: extensions.persistedQuery of Apollo clients, or documentId, which the
// transport adds.
func nameOf(params *graphql.RawParams) (bff.DocumentName, error) {
	name := bff.DocumentName{Text: params.Query}
	if id, ok := params.Extensions["documentId"]; ok {
		if name.ID, ok = id.(string); !ok {
			return name, malformedName("documentId must be a text")
		}
	}
	raw, ok := params.Extensions["persistedQuery"]
	if !ok || raw == nil {
		return name, nil
	}
	persisted, ok := raw.(map[string]any)
	if !ok {
		return name, malformedName("extensions.persistedQuery must be an object")
	}
	if version, ok := persisted["version"].(json.Number); !ok || version != "1" {
		return name, malformedName("extensions.persistedQuery must be of version 1")
	}
	if name.Hash, ok = persisted["sha256Hash"].(string); !ok || name.Hash == "" {
		return name, malformedName("extensions.persistedQuery needs a sha256Hash")
	}
	if name.ID != "" {
		return name, malformedName("name the document by documentId or by extensions.persistedQuery, not by both")
	}
	return name, nil
}

func malformedName(message string) error {
	return errs.New(errs.InvalidArgument, "REQUEST_MALFORMED", "%s", message)
}
