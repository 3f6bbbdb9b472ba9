package devices

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/sluicehq/sluice/e2e/harness"
	"github.com/sluicehq/sluice/internal/testserver"
)

// broker is a NATS server of its own, set up as docs/devices.md says.
type broker struct {
	mqtt     string   // where devices connect
	settings []string // by which a program uses it
}

var natsBlock = regexp.MustCompile("(?s)```\njetstream(.*?)```")

func startBroker(t *testing.T) broker {
	t.Helper()
	page, err := os.ReadFile("../../docs/devices.md")
	if err != nil {
		t.Fatal(err)
	}
	found := natsBlock.FindStringSubmatch(string(page))
	if found == nil {
		t.Fatal("the page does not show how a NATS server is set up")
	}
	issuer, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	public, err := issuer.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := issuer.Seed()
	if err != nil {
		t.Fatal(err)
	}
	port, mqttPort := testserver.FreePort(t), testserver.FreePort(t)
	text := "jetstream" + found[1]
	for shown, used := range map[string]string{
		"jetstream: enabled": fmt.Sprintf("listen: 127.0.0.1:%s\njetstream { store_dir: %q }", port, t.TempDir()),
		"port: 1883":         "host: 127.0.0.1, port: " + mqttPort, "password: …": "password: secret", "issuer: A…": "issuer: " + public,
	} {
		if !strings.Contains(text, shown) {
			t.Fatalf("the page does not show %q", shown)
		}
		text = strings.ReplaceAll(text, shown, used)
	}
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	options.NoSigs, options.NoLog = true, true
	s, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(harness.Timeout) {
		t.Fatal("the NATS server is not ready")
	}
	url := "nats://%s:secret@127.0.0.1:" + port
	return broker{mqtt: "127.0.0.1:" + mqttPort, settings: []string{
		"--nats-url", fmt.Sprintf(url, "sluice"), "--nats-system-url", fmt.Sprintf(url, "sluice-system"), "--nats-issuer-seed", string(seed),
	}}
}

// telemetryTaken is the figure of a program that has taken messages with readings.
var telemetryTaken = regexp.MustCompile(`(?m)^sluice_device_messages_total\{[^}]*outcome="taken"[^}]*topic="telemetry"[^}]*\} [1-9]`)

// metrics is what the program counts; "" when it does not say.
func readMetrics(ctx context.Context, p *harness.Program) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/metrics", nil)
	if err != nil {
		return ""
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body) // as much as there is
	return string(text)
}

// Two programs share one NATS and one PostgreSQL, and the devices. One is killed while they send:
// nothing that was acknowledged is lost, and the other goes on alone.
func TestDevicesOfTwoProgramsSurviveKillOfOne(t *testing.T) {
	t.Parallel()
	devices := "--services-device-database=" + testserver.StartPostgres(t).NewDatabase(t)
	b := startBroker(t)
	program := func() *harness.Program {
		return harness.Start(t, append(harness.DemoArgs(t.TempDir(), devices), b.settings...)...)
	}
	one, other := program(), program()
	killed := make(chan struct{})
	go func() { // in the midst of it
		defer close(killed)
		for !telemetryTaken.MatchString(readMetrics(t.Context(), other)) {
			select {
			case <-t.Context().Done():
				return
			case <-time.After(50 * time.Millisecond): // between two looks
			}
		}
		other.Close()
	}()
	said := harness.MustRun(t, "simulate", "--url", one.URL, "--mqtt", b.mqtt, "--devices", "100", "--rate", "1000", "--batch", "5", "--duration", "6s")
	var connected, sent, acknowledged, stored int
	for _, c := range []struct {
		what string
		into *int
	}{{"connected", &connected}, {"sent", &sent}, {"acknowledged", &acknowledged}, {"stored", &stored}} {
		if _, err := fmt.Sscanf(regexp.MustCompile(c.what+` +\d+`).FindString(said), c.what+" %d", c.into); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	select {
	case <-killed:
	default:
		t.Error("the other program took nothing, and was not killed: the test proves nothing")
	}
	if connected != 100 || acknowledged == 0 || stored != acknowledged {
		t.Errorf("it reports\n%s", said)
	}
	d := one.RegisterDevice(t, one.SignIn(t, "admin"), "SENSOR")
	if _, _, err := d.Connect(t, b.mqtt); err != nil {
		t.Errorf("the program that is left lets nobody in: %v", err)
	}
}

// TestDevicesAfterRestartKeepPresenceAndConfiguration kills the program while 300 devices are connected. Those that come back
// get no configuration that they have, and nobody is told that they were away.
func TestDevicesAfterRestartKeepPresenceAndConfiguration(t *testing.T) {
	t.Parallel()
	serve := harness.DemoArgs(t.TempDir(), "--device-restart-grace", "10m", "--device-offline-grace", "10m") // however slowly they come back
	p := harness.Start(t, serve...)
	key := p.SignIn(t, "admin")
	const n = 300
	fleet := make([]*member, n)
	for i := range fleet {
		fleet[i] = &member{Device: p.RegisterDevice(t, key, "GATEWAY")}
	}
	t.Cleanup(func() {
		for _, m := range fleet {
			if m.client != nil {
				m.client.Disconnect(0)
			}
		}
	})
	each := func(what string, do func(m *member) error) {
		t.Helper()
		var all sync.WaitGroup
		failures := make(chan error, n)
		for _, m := range fleet {
			all.Go(func() { failures <- do(m) })
		}
		all.Wait()
		for range n {
			if err := <-failures; err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
	each("connect", func(m *member) error { return m.join(p.MQTTAddr(t)) })
	for _, m := range fleet {
		harness.Query[any](t, p, key, `mutation($id: ID!) { setDeviceConfig(id: $id, desired: {interval: 10}) { desiredVersion } }`, harness.Vars{"id": m.ID})
	}
	await := func(what string) {
		t.Helper()
		for deadline := time.Now().Add(2 * harness.Timeout); len(settled(t, p, key)) != n; <-time.After(300 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: not all devices are ONLINE with the configuration that is wanted:\n%s", what, unsettled(t, p, key, fleet))
			}
		}
	}
	await("before")
	p.Kill(t)
	for _, m := range fleet {
		m.configs.Store(0)
	}
	p = harness.Start(t, serve...)
	each("come back", func(m *member) error { return m.join(p.MQTTAddr(t)) })
	await("after")
	for _, m := range fleet {
		if got := m.configs.Load(); got != 0 {
			t.Errorf("%s is sent its configuration %d times again", m.ID, got)
		}
		for _, e := range showDevice(t, p, key, m.ID).Events.Nodes {
			if e.Type == "OFFLINE" {
				t.Errorf("%s: others were told that it is OFFLINE", m.ID)
			}
		}
	}
}

// unsettled tells of the devices that are not as they should be.
func unsettled(t *testing.T, p *harness.Program, key string, fleet []*member) string {
	t.Helper()
	fine := settled(t, p, key)
	var told strings.Builder
	for _, m := range fleet {
		if !fine[m.ID] {
			fmt.Fprintf(&told, "connected %t, was sent %d configurations: %+v\n", m.client.IsConnectionOpen(), m.configs.Load(), showDevice(t, p, key, m.ID))
		}
	}
	told.WriteString(p.Stderr.String())
	return told.String()
}

// settled are the devices that are ONLINE with the configuration that is wanted.
func settled(t *testing.T, p *harness.Program, key string) map[string]bool {
	t.Helper()
	fine := map[string]bool{}
	const query = `{ devices(first: 100, after: %s) { nodes { id presence config { inSync } } pageInfo { hasNextPage endCursor } } }`
	for after := "null"; ; {
		page := harness.Query[struct {
			Devices struct {
				Nodes []struct {
					ID       string
					Presence string
					Config   struct{ InSync bool }
				}
				PageInfo struct {
					HasNextPage bool
					EndCursor   string
				}
			}
		}](t, p, key, fmt.Sprintf(query, after), nil).Devices
		for _, d := range page.Nodes {
			if d.Presence == "ONLINE" && d.Config.InSync {
				fine[d.ID] = true
			}
		}
		if !page.PageInfo.HasNextPage {
			return fine
		}
		after = fmt.Sprintf("%q", page.PageInfo.EndCursor)
	}
}

// member is a device that applies what it is told.
type member struct {
	harness.Device
	client  mqtt.Client // of the last connection; nil before the first
	configs atomic.Int64
}

// join connects, again and again until it is let in.
func (m *member) join(addr string) error {
	options := mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetProtocolVersion(4).
		SetClientID(m.ID).SetUsername(m.ID).SetPassword(m.Secret).SetMaxReconnectInterval(time.Second).SetCleanSession(false).SetConnectTimeout(harness.Timeout)
	deadline := time.Now().Add(2 * harness.Timeout)
	for {
		if m.client != nil {
			m.client.Disconnect(0) // and come back by itself no more, under the id of the next
		}
		client := mqtt.NewClient(options)
		m.client = client
		err := within(client.Connect())
		if err == nil {
			topic := "devices/" + m.ID + "/config/desired"
			subscription := client.Subscribe(topic, 1, func(c mqtt.Client, told mqtt.Message) {
				m.configs.Add(1)
				if version := regexp.MustCompile(`"version": ?(\d+)`).FindSubmatch(told.Payload()); version != nil {
					c.Publish("devices/"+m.ID+"/config/reported", 1, false, fmt.Sprintf(`{"version": %s, "reported": {"interval": 10}}`, version[1]))
				}
			})
			err = within(subscription)
			if given := subscription.(*mqtt.SubscribeToken).Result()[topic]; err == nil && given != 1 {
				err = fmt.Errorf("the subscription is given quality of service %#x", given)
			}
		}
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

func within(token mqtt.Token) error {
	ctx, cancel := context.WithTimeout(context.Background(), harness.Timeout)
	defer cancel()
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return ctx.Err()
	}
}
