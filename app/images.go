package app

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sluicehq/sluice/bff/media"
	"github.com/sluicehq/sluice/internal/retention"
)

// imageUploadTTL is the time a camera has to upload an image: the timeout of its command.
const imageUploadTTL = 2 * time.Minute

func (w *wiring) images() (*media.Images, error) {
	secret, err := w.cursorSecret()
	if err != nil {
		return nil, err
	}
	c := w.config.Camera
	options := media.Options{
		Dir: c.ImageDir, PublicURL: w.config.HTTP.PublicURL, Secret: secret, MaxBytes: int64(c.ImageMaxBytes),
		PutFor: imageUploadTTL, GetFor: c.ImageURLTTL, Clock: w.clock, Logger: w.logger,
	}
	if options.Dir == "" {
		options.Dir = filepath.Join(w.config.Data, "images")
	}
	if options.PublicURL == "" {
		options.PublicURL = "http://" + w.program.Addr
	}
	images, err := media.Open(options)
	if err != nil {
		return nil, fmt.Errorf("keep images: %w", err)
	}
	w.program.closing.add("images", func(context.Context) error { return images.Close() })
	w.start(retention.New(w.clock, w.logger, retention.After("images", c.ImageRetention, images.Delete)).Loop("image retention"))
	return images, nil
}
