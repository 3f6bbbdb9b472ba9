package media_test

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/media"
	"github.com/sluicehq/sluice/internal/clock"
)

// cameraPort is a port of one camera; its commands are kept.
type cameraPort struct {
	bff.Devices
	taken []*bff.Command
}

func (l *cameraPort) TakeSnapshot(_ context.Context, deviceID string, upload *bff.SnapshotUpload) (*bff.Command, error) {
	c := &bff.Command{ID: upload.CommandID, DeviceID: deviceID, Name: "takeSnapshot", Arguments: upload.Arguments, Status: "SENT"}
	l.taken = append(l.taken, c)
	return c, nil
}

func (l *cameraPort) GetCommands(context.Context, []string) ([]*bff.Command, error) {
	return l.taken, nil
}

type fixture struct {
	images     *media.Images
	server     *httptest.Server
	port       bff.Devices
	cameraPort *cameraPort
	clock      *clock.Manual
}

func open(t *testing.T) fixture {
	t.Helper()
	d := fixture{cameraPort: &cameraPort{}, clock: clock.NewManual(time.Now())}
	d.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { d.images.ServeHTTP(w, r) }))
	t.Cleanup(d.server.Close)
	var err error
	d.images, err = media.Open(media.Options{
		Dir: t.TempDir(), PublicURL: d.server.URL + "/", Secret: []byte("secret"), MaxBytes: 1000, PutFor: time.Minute, GetFor: time.Minute,
		Clock: d.clock, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.images.Close() })
	d.port = media.Devices(d.cameraPort, d.images)
	return d
}

// place is where the camera is told to put an image.
func (d fixture) place(t *testing.T) string {
	t.Helper()
	c, err := d.port.TakeSnapshot(t.Context(), "device_1", nil)
	if err != nil {
		t.Fatal(err)
	}
	var told struct {
		Upload struct {
			URL, Method  string
			ContentTypes []string
			MaxBytes     int
			ExpiresAt    time.Time
		}
	}
	if err := json.Unmarshal(c.Arguments, &told); err != nil || told.Upload.Method != "PUT" || told.Upload.MaxBytes != 1000 || len(told.Upload.ContentTypes) != 3 {
		t.Fatalf("told %s, %v", c.Arguments, err)
	}
	return told.Upload.URL
}

func (d fixture) send(t *testing.T, method, address, kind string, body []byte) (status int, answer []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	got, err := d.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	answer, err = io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got.StatusCode, answer
}

func picture(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestImageIsUploadedAndDownloaded(t *testing.T) {
	t.Parallel()
	d, want := open(t), picture(t)
	place := d.place(t)
	if status, answer := d.send(t, http.MethodPut, place, "image/png", want); status != http.StatusCreated {
		t.Fatalf("put: %d %s", status, answer)
	}
	if found, err := d.port.GetCommands(t.Context(), nil); err != nil || found[0].ImageURL != nil {
		t.Errorf("before the camera has answered: %+v, %v", found[0], err)
	}
	d.cameraPort.taken[0].Status = "SUCCEEDED"
	found, err := d.port.GetCommands(t.Context(), nil)
	if err != nil || found[0].ImageURL == nil {
		t.Fatalf("%+v, %v", found[0], err)
	}
	if status, got := d.send(t, http.MethodGet, *found[0].ImageURL, "", nil); status != http.StatusOK || !bytes.Equal(got, want) {
		t.Errorf("had: %d, %d bytes", status, len(got))
	}
	if status, _ := d.send(t, http.MethodHead, *found[0].ImageURL, "", nil); status != http.StatusOK {
		t.Errorf("head: %d", status)
	}
	if status, _ := d.send(t, http.MethodPut, place, "image/png", want); status != http.StatusConflict {
		t.Errorf("put again: %d", status)
	}
	if n, err := d.images.Delete(t.Context(), time.Now().Add(-time.Hour), 10); err != nil || n != 0 {
		t.Errorf("within its time %d went, %v", n, err)
	}
	d.clock.Advance(2 * time.Hour)
	if n, err := d.images.Delete(t.Context(), time.Now().Add(time.Hour), 10); err != nil || n != 1 {
		t.Errorf("after its time %d went, %v", n, err)
	}
	if status, _ := d.send(t, http.MethodGet, *found[0].ImageURL, "", nil); status != http.StatusNotFound {
		t.Errorf("after its time: %d", status)
	}
	d.cameraPort.taken[0].ImageURL = nil
	if found, err := d.port.GetCommands(t.Context(), nil); err != nil || found[0].ImageURL != nil {
		t.Errorf("an address of what is gone: %+v, %v", found[0], err)
	}
}

// Whoever makes an address up is not told whether there is such an image.
func TestInvalidAddressRevealsNothing(t *testing.T) {
	t.Parallel()
	d := open(t)
	there, empty := d.place(t), d.place(t)
	if status, answer := d.send(t, http.MethodPut, there, "image/png", picture(t)); status != http.StatusCreated {
		t.Fatalf("put: %d %s", status, answer)
	}
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		ask := func(place string) (int, string) {
			address := strings.Replace(place, "method=PUT", "method="+method, 1)
			status, answer := d.send(t, method, address[:len(address)-4]+"AAA=", "image/png", picture(t)) // the signature is the last
			return status, string(answer)
		}
		gotThere, toldThere := ask(there)
		gotEmpty, toldEmpty := ask(empty)
		if gotThere != http.StatusForbidden || gotThere != gotEmpty || toldThere != toldEmpty {
			t.Errorf("%s: of an image %d %s, of none %d %s", method, gotThere, toldThere, gotEmpty, toldEmpty)
		}
	}
}

func TestInvalidUploadIsRefused(t *testing.T) {
	t.Parallel()
	d, image := open(t), picture(t)
	place := d.place(t)
	for name, c := range map[string]struct {
		method, address, kind string
		body                  []byte
		want                  int
	}{
		"no signature":        {http.MethodPut, d.server.URL + "/images?obj=a", "image/png", image, http.StatusForbidden},
		"another key":         {http.MethodPut, strings.Replace(place, "device_1", "device_2", 1), "image/png", image, http.StatusForbidden},
		"another method":      {http.MethodGet, place, "", nil, http.StatusForbidden},
		"another, told so":    {http.MethodGet, strings.Replace(place, "method=PUT", "method=GET", 1), "", nil, http.StatusForbidden},
		"delete":              {http.MethodDelete, place, "", nil, http.StatusForbidden},
		"too large":           {http.MethodPut, place, "image/png", append(image, make([]byte, 1000)...), http.StatusRequestEntityTooLarge},
		"a page":              {http.MethodPut, place, "text/html", []byte("<script>"), http.StatusUnsupportedMediaType},
		"a page as an image":  {http.MethodPut, place, "image/png", []byte("<html><script>"), http.StatusUnsupportedMediaType},
		"an image as another": {http.MethodPut, place, "image/jpeg", image, http.StatusUnsupportedMediaType},
		"nothing":             {http.MethodPut, place, "image/png", nil, http.StatusUnsupportedMediaType},
	} {
		if status, answer := d.send(t, c.method, c.address, c.kind, c.body); status != c.want {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if status, answer := d.send(t, http.MethodPut, place, "image/png", image); status != http.StatusCreated {
		t.Errorf("the place is spoilt: %d %s", status, answer)
	}
}

// A signed URL names the device and the command: it is valid for one image of them, and for no other.
func TestUploadIsBoundToItsDeviceAndCommand(t *testing.T) {
	t.Parallel()
	d := open(t)
	address := d.place(t)
	other := d.place(t)
	first, second := d.cameraPort.taken[0], d.cameraPort.taken[1]
	if !strings.Contains(address, first.DeviceID) || !strings.Contains(address, first.ID) || first.ID == second.ID {
		t.Errorf("%s names neither %s nor %s", address, first.DeviceID, first.ID)
	}
	for name, forged := range map[string]string{
		"another command": strings.ReplaceAll(address, first.ID, second.ID), "another device": strings.ReplaceAll(address, "device_1", "device_2"),
	} {
		if status, _ := d.send(t, http.MethodPut, forged, "image/png", picture(t)); status != http.StatusForbidden {
			t.Errorf("%s: %d", name, status)
		}
	}
	for _, want := range []int{http.StatusCreated, http.StatusConflict} {
		if status, _ := d.send(t, http.MethodPut, address, "image/png", picture(t)); status != want {
			t.Errorf("%d, want %d", status, want)
		}
	}
	if status, _ := d.send(t, http.MethodPut, other, "image/png", picture(t)); status != http.StatusCreated {
		t.Errorf("the other command: %d", status)
	}
	first.Status, second.Status = "SUCCEEDED", "SUCCEEDED"
	second.Arguments = first.Arguments // another command's image is not this one's
	found, err := d.port.GetCommands(t.Context(), nil)
	if err != nil || found[0].ImageURL == nil || found[1].ImageURL != nil {
		t.Errorf("images %v, %v", found, err)
	}
}
