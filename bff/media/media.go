// Package media keeps the images that cameras take, and hands out addresses under which they are put
// and had.
//
// An address is signed, good for one image, one method and a time. It promises that what is put is an
// image of a kind and a size that are allowed, that nothing that is there is written over, and that an
// image goes when it is told to (Forget).
package media

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/gcerrors"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/ids"
)

// Path is where the addresses lead.
const Path = "/images"

// Options say where images are kept and for how long.
type Options struct {
	Dir       string
	PublicURL string // how cameras and callers reach the gateway, as in https://sluice.example.org
	Secret    []byte // addresses are signed under it, the same for all gateways
	MaxBytes  int64  // of an image
	PutFor    time.Duration
	GetFor    time.Duration
	Clock     clock.Clock
	Logger    *slog.Logger
}

// Images keeps images.
type Images struct {
	options Options
	bucket  *blob.Bucket
	signer  *fileblob.URLSignerHMAC
}

// Open keeps images in a folder, which is made if it is not there.
func Open(options Options) (*Images, error) {
	base, err := url.Parse(strings.TrimSuffix(options.PublicURL, "/") + Path)
	if err != nil {
		return nil, fmt.Errorf("read the public URL: %w", err)
	}
	mac := hmac.New(sha256.New, options.Secret)
	_, _ = mac.Write([]byte("images")) // it never fails
	signer := fileblob.NewURLSignerHMAC(base, mac.Sum(nil))
	bucket, err := fileblob.OpenBucket(options.Dir, &fileblob.Options{
		URLSigner: signer, CreateDir: true, DirFileMode: 0o700, NoTempDir: true,
	})
	if err != nil {
		return nil, fmt.Errorf("open the folder of images: %w", err)
	}
	return &Images{options: options, bucket: bucket, signer: signer}, nil
}

// Close lets the folder go.
func (m *Images) Close() error { return m.bucket.Close() }

// placed is the arguments of the command by which a camera takes an image.
type placed struct {
	Image  string `json:"image"` // the key
	Upload upload `json:"upload"`
}

type upload struct {
	URL          string    `json:"url"`
	Method       string    `json:"method"`
	ContentTypes []string  `json:"contentTypes"`
	MaxBytes     int64     `json:"maxBytes"`
	ExpiresAt    time.Time `json:"expiresAt"`
}

// kinds are the types of images that may be put.
func kinds() []string { return []string{"image/jpeg", "image/png", "image/webp"} }

// place makes a place for an image of the device, as the arguments of the command.
func (m *Images) place(ctx context.Context, deviceID string) (bff.JSON, error) {
	key := "snapshots/" + deviceID + "/" + ids.New(ids.Image)
	address, err := m.bucket.SignedURL(ctx, key, &blob.SignedURLOptions{Method: http.MethodPut, Expiry: m.options.PutFor})
	if err != nil {
		return nil, fmt.Errorf("sign an address: %w", err)
	}
	return json.Marshal(placed{Image: key, Upload: upload{
		URL: address, Method: http.MethodPut, ContentTypes: kinds(), MaxBytes: m.options.MaxBytes,
		ExpiresAt: m.options.Clock.Now().Add(m.options.PutFor),
	}})
}

// address is where the image of a command can be had; "" when it has none, or none any more.
func (m *Images) address(ctx context.Context, c *bff.Command) (string, error) {
	var to placed
	if c.Name != "takeSnapshot" || c.Status != "SUCCEEDED" || json.Unmarshal(c.Arguments, &to) != nil {
		return "", nil
	}
	if !strings.HasPrefix(to.Image, "snapshots/"+c.DeviceID+"/") {
		return "", nil
	}
	if there, err := m.bucket.Exists(ctx, to.Image); err != nil || !there {
		return "", err
	}
	return m.bucket.SignedURL(ctx, to.Image, &blob.SignedURLOptions{Method: http.MethodGet, Expiry: m.options.GetFor})
}

// ServeHTTP takes and gives images.
func (m *Images) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, err := m.signer.KeyFromURL(r.Context(), r.URL)
	method := r.URL.Query().Get("method")
	if err != nil || method != r.Method && (method != http.MethodGet || r.Method != http.MethodHead) {
		http.Error(w, "this address does not hold, or no longer", http.StatusForbidden)
		return
	}
	if r.Method == http.MethodPut {
		m.put(w, r, key)
		return
	}
	m.get(w, r, key)
}

// uploadTime is how long a camera may take to send an image, over a slow line.
const uploadTime = 60 * time.Second

func (m *Images) put(w http.ResponseWriter, r *http.Request, key string) {
	if r.ContentLength > m.options.MaxBytes {
		http.Error(w, fmt.Sprintf("an image has at most %d bytes", m.options.MaxBytes), http.StatusRequestEntityTooLarge)
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(uploadTime)) // a writer that cannot has a time of its own
	image, err := io.ReadAll(http.MaxBytesReader(w, r.Body, m.options.MaxBytes))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		http.Error(w, fmt.Sprintf("an image has at most %d bytes", m.options.MaxBytes), http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "the image did not arrive", http.StatusBadRequest)
		return
	}
	kind := http.DetectContentType(image)
	if said, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !allowed(kind) || said != kind {
		http.Error(w, "the body must be what Content-Type says: "+strings.Join(kinds(), ", "), http.StatusUnsupportedMediaType)
		return
	}
	switch isNew, err := m.keep(r.Context(), key, kind, image); {
	case err == nil && isNew:
		w.WriteHeader(http.StatusCreated)
	case err == nil:
		http.Error(w, "there is an image already", http.StatusConflict)
	default:
		m.options.Logger.ErrorContext(r.Context(), "an image was not kept", "error", err)
		http.Error(w, "the image was not kept: try again", http.StatusInternalServerError)
	}
}

func allowed(kind string) bool {
	for _, known := range kinds() {
		if kind == known {
			return true
		}
	}
	return false
}

// keep tells whether there was no image yet.
func (m *Images) keep(ctx context.Context, key, kind string, image []byte) (isNew bool, err error) {
	ctx = context.WithoutCancel(ctx) // the time of the request was for its body
	err = m.bucket.WriteAll(ctx, key, image, &blob.WriterOptions{ContentType: kind, IfNotExist: true})
	if gcerrors.Code(err) == gcerrors.FailedPrecondition {
		return false, nil
	}
	return err == nil, err
}

func (m *Images) get(w http.ResponseWriter, r *http.Request, key string) {
	reader, err := m.bucket.NewReader(r.Context(), key, nil)
	if err != nil {
		http.Error(w, "there is no such image, or no longer", http.StatusNotFound)
		return
	}
	defer func() { _ = reader.Close() }() // nothing was written
	w.Header().Set("Content-Type", reader.ContentType())
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin") // pages of partners show it
	w.Header().Set("Cache-Control", "private, max-age=300")
	http.ServeContent(w, r, "", reader.ModTime(), reader)
}

// Forget lets at most so many images go that are from before the time, and tells how many: see
// retention.Delete.
func (m *Images) Forget(ctx context.Context, before time.Time, most int) (gone int64, err error) {
	all := m.bucket.List(&blob.ListOptions{Prefix: "snapshots/"})
	for gone < int64(most) {
		object, err := all.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return gone, fmt.Errorf("list images: %w", err)
		}
		if object.ModTime.After(before) {
			continue
		}
		if err := m.bucket.Delete(ctx, object.Key); err != nil {
			return gone, fmt.Errorf("let an image go: %w", err)
		}
		gone++
	}
	return gone, nil
}
