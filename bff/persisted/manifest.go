package persisted

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// apolloFormat is the name of Apollo's manifest format.
const apolloFormat = "apollo-persisted-query-manifest"

// maxID bounds the id of a document, in bytes.
const maxID = 200

// ReadManifest decodes the trusted documents by id: Apollo's persisted query manifest, or a JSON object of ids and
// texts, as of Relay's compiler and graphql-codegen. Each text must pass check; the error names the first that does
// not.
func ReadManifest(text []byte, check func(text string) error) (map[string]string, error) {
	trusted, err := readManifest(text)
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(trusted)) {
		if id == "" || len(id) > maxID {
			return nil, fmt.Errorf("an id must have 1 to %d bytes: %.60q", maxID, id)
		}
		if isSHA256(id) && id != Hash(trusted[id]) {
			return nil, fmt.Errorf("document %.60q: the id looks like the SHA-256 of its text and is not", id)
		}
		if err := check(trusted[id]); err != nil {
			return nil, fmt.Errorf("document %.60q: %w", id, err)
		}
	}
	return trusted, nil
}

func readManifest(text []byte) (map[string]string, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, fmt.Errorf("it is not a JSON object: %w", err)
	}
	if bytes.Equal(members["format"], []byte(`"`+apolloFormat+`"`)) {
		return readApollo(text)
	}
	trusted := make(map[string]string, len(members))
	for id, raw := range members {
		var document string
		if err := json.Unmarshal(raw, &document); err != nil {
			return nil, fmt.Errorf("document %.60q is not a string, and the file does not have the format %q", id, apolloFormat)
		}
		trusted[id] = document
	}
	return trusted, nil
}

func readApollo(text []byte) (map[string]string, error) {
	var manifest struct {
		Version    int `json:"version"`
		Operations []struct {
			ID   string `json:"id"`
			Body string `json:"body"`
		} `json:"operations"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		return nil, fmt.Errorf("it is not a manifest of the format %q: %w", apolloFormat, err)
	}
	if manifest.Version != 1 {
		return nil, fmt.Errorf("it is of version %d; only version 1 is known", manifest.Version)
	}
	if manifest.Operations == nil {
		return nil, errors.New("it has no operations")
	}
	trusted := make(map[string]string, len(manifest.Operations))
	for _, operation := range manifest.Operations {
		if _, twice := trusted[operation.ID]; twice {
			return nil, fmt.Errorf("it has the id %.60q twice", operation.ID)
		}
		trusted[operation.ID] = operation.Body
	}
	return trusted, nil
}

func isSHA256(id string) bool {
	return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}
