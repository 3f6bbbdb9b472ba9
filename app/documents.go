package app

import (
	"fmt"
	"os"

	"github.com/sluicehq/sluice/bff/cache/documents"
	"github.com/sluicehq/sluice/bff/persisted"
	"github.com/sluicehq/sluice/graph/pipeline"
)

// documents returns the persisted documents: those of the manifest, and those that clients register, in memory or in
// Redis.
func (w *wiring) documents() (*persisted.Documents, error) {
	settings := w.config.Documents
	options := persisted.Options{OnlyTrusted: settings.OnlyTrusted, ByAnyone: settings.AnonymousRegistration}
	var err error
	if settings.Manifest != "" {
		if options.Trusted, err = w.manifest(settings.Manifest); err != nil {
			return nil, fmt.Errorf("documents.manifest: %s: %w", settings.Manifest, err)
		}
		w.logger.Info("trusted documents read", "documents", len(options.Trusted))
	}
	if settings.Persisted {
		if options.Persisted, err = w.persisted(); err != nil {
			return nil, err
		}
	}
	return persisted.New(options), nil
}

// manifest reads the trusted documents. Each one must pass the checks of this gateway.
func (w *wiring) manifest(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return persisted.ReadManifest(text, func(text string) error {
		return pipeline.CheckDocument(text, w.documentLimits(), w.config.HTTP.MaxTokens)
	})
}

func (w *wiring) persisted() (persisted.Store, error) {
	memory, err := persisted.NewMemory(int64(w.config.Documents.Memory))
	if err != nil || w.redis == nil {
		return memory, err
	}
	return documents.New(w.redis, memory, documents.Options{TTL: w.config.Documents.TTL, Logger: w.logger}), nil
}
