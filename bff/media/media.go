// Package media stores the images of cameras, and serves them under signed URLs. A signed URL is valid for one image,
// one method and a limited time; an invalid one is refused before the storage is read. An upload has an allowed type
// and size and overwrites nothing. A failed upload leaves no image, and may be retried while its URL is valid. Delete
// implements the retention.
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
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/gcerrors"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/ids"
)

// Path is the path of the signed URLs.
const Path = "/images"

// Options are the settings of Images.
type Options struct {
	Dir       string
	PublicURL string        // for cameras and clients, as in https://sluice.example.org
	Secret    []byte        // signs the URLs; the same for all gateways
	MaxBytes  int64         // of an image
	PutFor    time.Duration // lifetime of an upload URL
	GetFor    time.Duration // lifetime of a download URL
	Clock     clock.Clock
	Logger    *slog.Logger
}

// Images stores and serves images.
type Images struct {
	options Options
	bucket  *blob.Bucket
	signer  *fileblob.URLSignerHMAC
}

// Open opens or creates the folder of images.
func Open(options Options) (*Images, error) {
	base, err := url.Parse(strings.TrimSuffix(options.PublicURL, "/") + Path)
	if err != nil {
		return nil, fmt.Errorf("read the public URL: %w", err)
	}
	mac := hmac.New(sha256.New, options.Secret)
	_, _ = mac.Write([]byte("images")) // never fails
	signer := fileblob.NewURLSignerHMAC(base, mac.Sum(nil))
	bucket, err := fileblob.OpenBucket(options.Dir, &fileblob.Options{
		URLSigner: signer, CreateDir: true, DirFileMode: 0o700, NoTempDir: true,
	})
	if err != nil {
		return nil, fmt.Errorf("open the folder of images: %w", err)
	}
	return &Images{options: options, bucket: bucket, signer: signer}, nil
}

// Close closes the folder.
func (m *Images) Close() error { return m.bucket.Close() }

// snapshotArguments are the arguments of the command takeSnapshot.
type snapshotArguments struct {
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

func contentTypes() []string { return []string{"image/jpeg", "image/png", "image/webp"} }

// imageKey names the device and the command, so that a signed URL is valid for one image of both.
func imageKey(deviceID, commandID string) string { return "snapshots/" + deviceID + "/" + commandID }

func (m *Images) newUpload(ctx context.Context, deviceID string) (*bff.SnapshotUpload, error) {
	commandID := ids.New(ids.Command)
	key := imageKey(deviceID, commandID)
	address, err := m.bucket.SignedURL(ctx, key, &blob.SignedURLOptions{Method: http.MethodPut, Expiry: m.options.PutFor})
	if err != nil {
		return nil, fmt.Errorf("sign a URL: %w", err)
	}
	arguments, err := json.Marshal(snapshotArguments{Image: key, Upload: upload{
		URL: address, Method: http.MethodPut, ContentTypes: contentTypes(), MaxBytes: m.options.MaxBytes,
		ExpiresAt: m.options.Clock.Now().Add(m.options.PutFor),
	}})
	if err != nil {
		return nil, fmt.Errorf("write the arguments of the command: %w", err)
	}
	return &bff.SnapshotUpload{CommandID: commandID, Arguments: arguments}, nil
}

// downloadURL returns the signed URL of the image of a command; "" without an image.
func (m *Images) downloadURL(ctx context.Context, c *bff.Command) (string, error) {
	var arguments snapshotArguments
	if c.Name != "takeSnapshot" || c.Status != "SUCCEEDED" || json.Unmarshal(c.Arguments, &arguments) != nil {
		return "", nil
	}
	key := arguments.Image
	if key != imageKey(c.DeviceID, c.ID) && !strings.HasPrefix(key, imageKey(c.DeviceID, string(ids.Image)+"_")) { // of an earlier version
		return "", nil
	}
	if exists, err := m.bucket.Exists(ctx, key); err != nil || !exists {
		return "", err
	}
	return m.bucket.SignedURL(ctx, key, &blob.SignedURLOptions{Method: http.MethodGet, Expiry: m.options.GetFor})
}

// ServeHTTP serves uploads and downloads.
func (m *Images) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, err := m.signer.KeyFromURL(r.Context(), r.URL)
	method := r.URL.Query().Get("method")
	if err != nil || method != r.Method && (method != http.MethodGet || r.Method != http.MethodHead) {
		http.Error(w, "this address is not valid, or no longer", http.StatusForbidden)
		return
	}
	if r.Method == http.MethodPut {
		m.put(w, r, key)
		return
	}
	m.get(w, r, key)
}

// uploadTimeout is the timeout of an upload over a slow network.
const uploadTimeout = 60 * time.Second

func (m *Images) put(w http.ResponseWriter, r *http.Request, key string) {
	if r.ContentLength > m.options.MaxBytes {
		http.Error(w, fmt.Sprintf("an image has at most %d bytes", m.options.MaxBytes), http.StatusRequestEntityTooLarge)
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(uploadTimeout)) // a writer without deadlines has its own timeout
	image, err := io.ReadAll(http.MaxBytesReader(w, r.Body, m.options.MaxBytes))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		http.Error(w, fmt.Sprintf("an image has at most %d bytes", m.options.MaxBytes), http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "the image did not arrive", http.StatusBadRequest)
		return
	}
	contentType := http.DetectContentType(image)
	if header, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !slices.Contains(contentTypes(), contentType) || header != contentType {
		http.Error(w, "the body must be what Content-Type says: "+strings.Join(contentTypes(), ", "), http.StatusUnsupportedMediaType)
		return
	}
	switch isNew, err := m.store(r.Context(), key, contentType, image); {
	case err == nil && isNew:
		w.WriteHeader(http.StatusCreated)
	case err == nil:
		http.Error(w, "there is an image already", http.StatusConflict)
	default:
		m.options.Logger.ErrorContext(r.Context(), "an image was not stored", "error", err)
		http.Error(w, "the image was not stored: try again", http.StatusInternalServerError)
	}
}

func (m *Images) store(ctx context.Context, key, contentType string, image []byte) (isNew bool, err error) {
	ctx = context.WithoutCancel(ctx) // the deadline of the request was for its body
	err = m.bucket.WriteAll(ctx, key, image, &blob.WriterOptions{ContentType: contentType, IfNotExist: true})
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
	defer func() { _ = reader.Close() }() // a reader has nothing to flush
	w.Header().Set("Content-Type", reader.ContentType())
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin") // pages of partners embed it
	w.Header().Set("Cache-Control", "private, max-age=300")
	http.ServeContent(w, r, "", reader.ModTime(), reader)
}

// Delete is a retention.Delete of images.
func (m *Images) Delete(ctx context.Context, before time.Time, limit int) (deleted int64, err error) {
	all := m.bucket.List(&blob.ListOptions{Prefix: "snapshots/"})
	for deleted < int64(limit) {
		object, err := all.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return deleted, fmt.Errorf("list images: %w", err)
		}
		if object.ModTime.After(before) {
			continue
		}
		if err := m.bucket.Delete(ctx, object.Key); err != nil {
			return deleted, fmt.Errorf("delete an image: %w", err)
		}
		deleted++
	}
	return deleted, nil
}
