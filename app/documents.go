package app

import (
	"fmt"
	"os"

	"github.com/sluicehq/sluice/bff/cache/documents"
	"github.com/sluicehq/sluice/bff/persisted"
	"github.com/sluicehq/sluice/graph/pipeline"
)

// documents are those that can be asked for by name: read from the manifest, or registered as the
// program runs, here or in the Redis of the settings.
func (h *house) documents() (*persisted.Documents, error) {
	settings := h.config.Documents
	options := persisted.Options{OnlyTrusted: settings.OnlyTrusted, ByAnyone: settings.AnonymousRegistration}
	var err error
	if settings.Manifest != "" {
		if options.Trusted, err = h.manifest(settings.Manifest); err != nil {
			return nil, fmt.Errorf("documents.manifest: %s: %w", settings.Manifest, err)
		}
		h.logger.Info("trusted documents read", "documents", len(options.Trusted))
	}
	if settings.Persisted {
		if options.Persisted, err = h.persisted(); err != nil {
			return nil, err
		}
	}
	return persisted.New(options), nil
}

// manifest reads the trusted documents. Each must be one that this gateway would run.
func (h *house) manifest(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return persisted.ReadManifest(text, func(text string) error {
		return pipeline.CheckDocument(text, h.documentLimits(), h.config.HTTP.MaxTokens)
	})
}

func (h *house) persisted() (persisted.Store, error) {
	memory, err := persisted.NewMemory(int64(h.config.Documents.Memory))
	if err != nil || h.redis == nil {
		return memory, err
	}
	return documents.New(h.redis, memory, documents.Options{TTL: h.config.Documents.TTL, Logger: h.logger}), nil
}
