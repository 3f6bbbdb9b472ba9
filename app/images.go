package app

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sluicehq/sluice/bff/media"
	"github.com/sluicehq/sluice/internal/retention"
)

// imagePutFor is how long a camera may put an image: as long as it has to answer the command.
const imagePutFor = 2 * time.Minute

// images keeps what cameras take.
func (h *house) images() (*media.Images, error) {
	secret, err := h.cursorSecret()
	if err != nil {
		return nil, err
	}
	c := h.config.Camera
	options := media.Options{
		Dir: c.ImageDir, PublicURL: h.config.HTTP.PublicURL, Secret: secret, MaxBytes: int64(c.ImageMaxBytes),
		PutFor: imagePutFor, GetFor: c.ImageURLTTL, Clock: h.clock, Logger: h.logger,
	}
	if options.Dir == "" {
		options.Dir = filepath.Join(h.config.Data, "images")
	}
	if options.PublicURL == "" {
		options.PublicURL = "http://" + h.program.Addr
	}
	images, err := media.Open(options)
	if err != nil {
		return nil, fmt.Errorf("keep images: %w", err)
	}
	h.program.closing.add("images", func(context.Context) error { return images.Close() })
	h.start(retention.New(h.clock, h.logger, retention.After("images", c.ImageRetention, images.Delete)).Loop("image retention"))
	return images, nil
}
