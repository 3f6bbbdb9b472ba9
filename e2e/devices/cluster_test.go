package devices

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/sluicehq/sluice/e2e/harness"
	"github.com/sluicehq/sluice/internal/testserver"
)

// Two programs share one NATS and one PostgreSQL, and the devices. One is killed while devices publish to it: nothing
// that was acknowledged is lost, and the devices continue at the other.
func TestTwoProgramsOneKilledDevicesContinueAtTheOther(t *testing.T) {
	t.Parallel()
	shared := append(harness.StartNATS(t), "--sealing-keys="+harness.SealingKey, "--services-device-database="+testserver.StartPostgres(t).NewDatabase(t))
	one := harness.Start(t, harness.DemoArgs(t.TempDir(), shared...)...)
	other := harness.Start(t, harness.DemoArgs(t.TempDir(), shared...)...)
	token := one.SignIn(t, "admin")
	const n, killedAfter = 10, 100
	fleet := make([]*member, n)
	stored := make([]atomic.Int64, n)
	var all sync.WaitGroup
	addr := other.MQTTAddr(t)
	for i := range fleet {
		fleet[i] = &member{Device: one.RegisterDevice(t, token, "GATEWAY")}
		client, _, err := fleet[i].Connect(t, addr)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for k := 0; client.IsConnected(); k++ {
				sent := client.Publish("devices/"+fleet[i].ID+"/telemetry", 1, false, fmt.Sprintf(`{"temperature": %d}`, k))
				if !sent.WaitTimeout(harness.Timeout) || sent.Error() != nil {
					return
				}
				if stored[i].Add(1) == killedAfter && i == 0 {
					other.Close()
				}
			}
		})
	}
	c := sendCommand(t, one, token, fleet[1].ID, "blink") // its connection is at the other program
	if c.Status == "FAILED" {
		t.Errorf("the command is %+v", c)
	}
	all.Wait()
	for i, m := range fleet {
		want := int(stored[i].Load())
		got := awaitDevice(t, one, token, m.ID, "its readings", func(s shown) bool { return len(s.Telemetry) > 0 && len(s.Telemetry[0].Points) >= want })
		if points := len(got.Telemetry[0].Points); points > want+1 {
			t.Errorf("%s: %d readings of %d", m.ID, points, want)
		}
	}
	w := newWorker(fleet[1].Device)
	w.serve(t, one.MQTTAddr(t))
	harness.Eventually(t, harness.Timeout, "the command is carried out after the reconnect", func() bool {
		return findCommand(t, one, token, c.ID).Status == "SUCCEEDED"
	})
	awaitDevice(t, one, token, fleet[2].ID, "that its process has died", func(s shown) bool { return s.Presence != "ONLINE" })
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
