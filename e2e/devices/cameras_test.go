package devices

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/sluicehq/sluice/e2e/harness"
)

var cameraListener = regexp.MustCompile(`MQTT +(\S+)\n`)

// fieldCamera is a camera that connects over MQTT and does what it is told.
type fieldCamera struct {
	t          *testing.T
	id, secret string
	client     mqtt.Client

	mu      sync.Mutex
	told    []string // names of commands
	configs chan string
	took    chan string // where images were put
}

func newFieldCamera(t *testing.T, p *harness.Program, admin string) *fieldCamera {
	t.Helper()
	made := harness.Query[struct {
		RegisterDevice struct {
			Secret string
			Device struct{ ID string }
		}
	}](t, p, admin, `mutation { registerDevice(input: {name: "yard", kind: CAMERA, labels: {site: "north"}}) { secret device { id } } }`, nil).RegisterDevice
	return &fieldCamera{t: t, id: made.Device.ID, secret: made.Secret, configs: make(chan string, 10), took: make(chan string, 10)}
}

// connect connects the camera, listening before it is told to be there.
func (c *fieldCamera) connect(p *harness.Program) {
	c.t.Helper()
	found := cameraListener.FindStringSubmatch(p.Stdout.String())
	if found == nil {
		c.t.Fatalf("the program does not say where devices connect:\n%s", p.Stdout)
	}
	c.client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + found[1]).SetProtocolVersion(4).SetClientID(c.id).
		SetUsername(c.id).SetPassword(c.secret).SetAutoReconnect(false).SetCleanSession(false).SetConnectTimeout(harness.Timeout).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { go c.hear(m) }))
	for _, step := range []func() mqtt.Token{
		c.client.Connect,
		func() mqtt.Token { return c.client.Subscribe("devices/"+c.id+"/#", 1, nil) },
	} {
		if token := step(); !token.WaitTimeout(harness.Timeout) || token.Error() != nil {
			c.t.Fatal(token.Error())
		}
	}
	c.t.Cleanup(func() { c.client.Disconnect(0) })
}

func (c *fieldCamera) say(topic, payload string) {
	c.client.Publish("devices/"+c.id+"/"+topic, 1, false, payload).WaitTimeout(harness.Timeout)
}

func (c *fieldCamera) hear(m mqtt.Message) {
	switch m.Topic() {
	case "devices/" + c.id + "/config/desired":
		c.configs <- string(m.Payload())
	case "devices/" + c.id + "/commands":
		c.obey(m.Payload())
	}
}

func (c *fieldCamera) obey(payload []byte) {
	var order struct {
		ID, Name  string
		Arguments struct{ Upload struct{ URL string } }
	}
	if err := json.Unmarshal(payload, &order); err != nil {
		c.t.Error(err)
		return
	}
	c.mu.Lock()
	c.told = append(c.told, order.Name)
	c.mu.Unlock()
	if order.Name == "takeSnapshot" {
		c.shoot(order.Arguments.Upload.URL)
	}
	c.say("commands/result", fmt.Sprintf(`{"id":%q,"ok":true,"result":{"url":"rtsp://camera/1"}}`, order.ID))
}

// shoot puts an image where the camera is told to.
func (c *fieldCamera) shoot(address string) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		c.t.Error(err)
		return
	}
	request, err := http.NewRequestWithContext(c.t.Context(), http.MethodPut, address, &picture)
	if err != nil {
		c.t.Error(err)
		return
	}
	request.Header.Set("Content-Type", "image/png")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		c.t.Error(err)
		return
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		c.t.Errorf("the image was not taken: %s", response.Status)
	}
}

func (c *fieldCamera) commands() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.told)
}

func createPartnerKey(t *testing.T, p *harness.Program, admin, name string) string {
	t.Helper()
	return harness.Query[struct{ CreateApiKey struct{ Secret string } }](t, p, admin,
		`mutation($name: String!) { createApiKey(input: {name: $name, scopes: ["device:read", "camera:view", "camera:move"], deviceLabels: {site: "north"}}) { secret } }`,
		harness.Vars{"name": name}).CreateApiKey.Secret
}

const startStream = `mutation($id: ID!) { startStream(input: {deviceId: $id}) { state viewers } }`

type streamShown struct {
	Device struct {
		Stream struct {
			State   string
			Viewers int
		}
	}
}

// A partner's page that loops on "start the stream" is the partner's problem, and nobody else's.
func TestStreamOfLoopingCallerDoesNotFlap(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, harness.DemoArgs(t.TempDir())...)
	admin := p.SignIn(t, "admin")
	camera := newFieldCamera(t, p, admin)
	camera.connect(p)
	good, loops := createPartnerKey(t, p, admin, "good"), createPartnerKey(t, p, admin, "loops")
	id := harness.Vars{"id": camera.id}
	stream := func() streamShown {
		return harness.Query[streamShown](t, p, good, `query($id: ID!) { device(id: $id) { stream { state viewers } } }`, id)
	}
	p.Execute(t, good, startStream, id)
	harness.Eventually(t, harness.Timeout, "the stream is live", func() bool { return stream().Device.Stream.State == "LIVE" })

	refused := map[string]int{}
	accepted := 0
	began := time.Now()
	pace := time.NewTicker(10 * time.Millisecond) // 1,000 in 10 s, or as fast as answers come
	defer pace.Stop()
	for range 1000 {
		<-pace.C
		a := p.Execute(t, loops, startStream, id)
		if len(a.Errors) == 0 {
			accepted++
			continue
		}
		refused[a.Errors[0].Extensions.Reason]++
		if a.Errors[0].Extensions.Code != "RESOURCE_EXHAUSTED" {
			t.Fatalf("refused with %+v", a.Errors[0])
		}
	}
	t.Logf("in %s: %d accepted, refused %v, the camera was told %v", time.Since(began).Round(time.Second), accepted, refused, camera.commands())
	if refused["STREAM_FLAPPING"] == 0 || accepted > 100 {
		t.Errorf("%d accepted, refused %v", accepted, refused)
	}
	if told := camera.commands(); len(told) > 2 {
		t.Errorf("the camera was told %v", told)
	}
	if a := p.Execute(t, good, startStream, id); len(a.Errors) > 0 {
		t.Errorf("the other partner is refused: %+v", a.Errors)
	}
	if s := stream(); s.Device.Stream.State != "LIVE" {
		t.Errorf("the other partner's view is %+v", s)
	}
	calls := harness.Query[struct{ DeviceCalls struct{ TotalCount int } }](t, p, admin,
		`query($id: ID!) { deviceCalls(filter: {deviceId: $id}) { totalCount } }`, id)
	if n := calls.DeviceCalls.TotalCount; n < accepted+refused["STREAM_FLAPPING"]+2 {
		t.Errorf("%d calls are kept", n)
	}
}

func TestSnapshotOfCameraIsServedAsImage(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, harness.DemoArgs(t.TempDir())...)
	admin := p.SignIn(t, "admin")
	camera := newFieldCamera(t, p, admin)
	camera.connect(p)
	key := createPartnerKey(t, p, admin, "partner")
	made := harness.Query[struct{ TakeSnapshot struct{ ID string } }](t, p, key, `mutation($id: ID!) { takeSnapshot(deviceId: $id) { id } }`, harness.Vars{"id": camera.id})
	type command struct {
		Node struct{ Status, ImageURL string }
	}
	var got command
	harness.Eventually(t, harness.Timeout, "the image is there", func() bool {
		got = harness.Query[command](t, p, key, `query($id: ID!) { node(id: $id) { ... on Command { status imageUrl } } }`, harness.Vars{"id": made.TakeSnapshot.ID})
		return got.Node.Status == "SUCCEEDED"
	})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, got.Node.ImageURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := png.Decode(response.Body); err != nil || response.Header.Get("Content-Type") != "image/png" {
		t.Errorf("%s is %s: %v", got.Node.ImageURL, response.Status, err)
	}
}

// A device that has reported what is wanted is not told again, whatever is killed.
func TestConfigurationAfterKillIsNotSentTwice(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := harness.Launch(t, harness.DemoArgs(data)...)
	p.AwaitReady(t)
	camera := newFieldCamera(t, p, p.SignIn(t, "admin"))
	camera.connect(p)
	const set = `mutation($id: ID!, $c: JSON!) { setDeviceConfig(id: $id, desired: $c) { desiredVersion } }`
	want := func(p *harness.Program, fps int) {
		t.Helper()
		harness.Query[struct{}](t, p, p.SignIn(t, "operator"), set, harness.Vars{"id": camera.id, "c": harness.Vars{"fps": fps}})
		select {
		case got := <-camera.configs:
			if want := fmt.Sprintf(`{"version":%d,"desired":{"fps":%d}}`, fps, fps); got != want {
				t.Errorf("told %s, want %s", got, want)
			}
		case <-time.After(harness.Timeout):
			t.Fatal("no configuration was delivered")
		}
		camera.say("config/reported", fmt.Sprintf(`{"version":%d,"reported":{"fps":%d}}`, fps, fps))
		harness.Eventually(t, harness.Timeout, "it is in sync", func() bool {
			return harness.Query[struct {
				Device struct{ Config struct{ InSync bool } }
			}](t, p, p.SignIn(t, "operator"),
				`query($id: ID!) { device(id: $id) { config { inSync } } }`, harness.Vars{"id": camera.id}).Device.Config.InSync
		})
	}
	want(p, 1)
	p.Kill(t)
	p = harness.Start(t, harness.DemoArgs(data)...)
	camera.connect(p)
	want(p, 2) // what it is told next is this
}
