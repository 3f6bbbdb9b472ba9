package devices

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
)

// shown is what the API shows of a device.
type shown struct {
	Presence string
	Firmware string
	Board    map[string]any
	Position *struct{ Latitude, Longitude float64 }
	Events   struct {
		Nodes []struct {
			Type, Message string
			Data          map[string]any
		}
	}
	Telemetry []struct {
		Key    string
		Points []struct {
			At        time.Time
			ArrivedAt time.Time
			Value     float64
		}
	}
}

func showDevice(t *testing.T, p *harness.Program, token, id string) shown {
	t.Helper()
	const query = `query($id: ID!) { device(id: $id) { presence firmware board position { latitude longitude }
		events(first: 50) { nodes { type message data } }
		telemetry(keys: ["temperature", "humidity"], from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z") { key points { at arrivedAt value } } } }`
	return harness.Query[struct{ Device shown }](t, p, token, query, harness.Vars{"id": id}).Device
}

// awaitShown asks until the API shows what is wanted.
func awaitDevice(t *testing.T, p *harness.Program, token, id, what string, wanted func(shown) bool) shown {
	t.Helper()
	for deadline := time.Now().Add(harness.Timeout); ; {
		s := showDevice(t, p, token, id)
		if wanted(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("the API does not show %s: %+v", what, s)
		}
		<-time.After(20 * time.Millisecond) // between two questions
	}
}

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// The lines of docs/devices.md work as they stand.
func TestDocDeviceExamplesWork(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	page, err := os.ReadFile("../../docs/devices.md")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p := harness.Start(t, harness.DemoArgs(t.TempDir())...)
	token := p.SignIn(t, "admin")
	d := p.RegisterDevice(t, token, "SENSOR")
	host, port, _ := strings.Cut(p.MQTTAddr(t), ":")
	environment := append(os.Environ(), "MQTT_HOST="+host, "MQTT_PORT="+port, "ID="+d.ID, "SECRET="+d.Secret)
	shell := func(ctx context.Context, lines string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "sh", "-ec", "exec "+lines)
		cmd.Env = environment
		return cmd
	}
	ctx, cancel := context.WithTimeout(t.Context(), harness.Timeout)
	defer cancel()
	ran := 0
	for _, block := range shellBlock.FindAllStringSubmatch(string(page), -1) {
		switch lines := block[1]; {
		case strings.HasPrefix(lines, "mosquitto_pub"):
			ran++
			if out, err := shell(ctx, lines).CombinedOutput(); err != nil {
				t.Errorf("%s\n%v\n%s", lines, err, out)
			}
		case strings.HasPrefix(lines, "mosquitto_sub"):
			ran++
			listens(t, shell(ctx, lines), p, token, d)
		}
	}
	if ran < 7 {
		t.Fatalf("only %d blocks of the page are about MQTT", ran)
	}
	got := awaitDevice(t, p, token, d.ID, "what the page says", func(s shown) bool {
		return len(s.Telemetry) == 2 && len(s.Telemetry[0].Points) >= 4 && s.Position != nil && s.Board != nil
	})
	if got.Firmware != "1.4.2" || got.Board["signal"] != -71.0 || got.Position.Latitude != 48.1635 {
		t.Errorf("the API shows %+v", got)
	}
	if first := got.Telemetry[0].Points[0]; first.Value != 20.25 || first.At.Format(time.RFC3339) != "2026-03-01T06:00:00Z" {
		t.Errorf("the first reading is %+v", first)
	} else if late := first.ArrivedAt; late.Before(began) || late.After(time.Now()) {
		t.Errorf("it arrived at %v, and the test began at %v", late, began)
	}
	if !slices.ContainsFunc(got.Events.Nodes, func(e struct {
		Type, Message string
		Data          map[string]any
	}) bool {
		return e.Type == "REPORTED" && e.Message == "DOOR_OPENED: the cabinet was opened"
	}) {
		t.Errorf("the events are %+v", got.Events)
	}
}

func needMosquitto(t *testing.T) {
	t.Helper()
	for _, name := range []string{"mosquitto_pub", "mosquitto_sub"} {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if slices.Contains(strings.Split(os.Getenv("SLUICE_TEST_REQUIRE"), ","), "mosquitto") {
			t.Fatalf("mosquitto is required, and there is no %s on this machine", name)
		}
		t.Skipf("SKIP: no %s on this machine", name)
	}
}

// listens runs a subscriber until it has heard something.
func listens(t *testing.T, cmd *exec.Cmd, p *harness.Program, token string, d harness.Device) {
	t.Helper()
	heard := harness.NewOutput()
	cmd.Stdout, cmd.Stderr = heard, heard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		_ = cmd.Process.Kill() // it may be gone already
		<-ended
	}()
	awaitDevice(t, p, token, d.ID, "that the subscriber is connected", func(s shown) bool { return s.Presence == "ONLINE" })
	sendCommand(t, p, token, d.ID, "blink")
	for deadline := time.After(harness.Timeout); ; {
		text, more := heard.Snapshot()
		if strings.Contains(text, `devices/`+d.ID+`/commands {"id":`) && strings.Contains(text, `"name":"blink"`) {
			return
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("%v heard %q", cmd.Args, text)
		}
	}
}

func TestDevicesWithRevokedCredentialsAreDisconnected(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, harness.DemoArgs(t.TempDir())...)
	token, addr := p.SignIn(t, "admin"), p.MQTTAddr(t)
	rotated, deleted, other := p.RegisterDevice(t, token, "SENSOR"), p.RegisterDevice(t, token, "SENSOR"), p.RegisterDevice(t, token, "SENSOR")
	for what, who := range map[string]harness.Device{
		"a wrong secret":    {ID: rotated.ID, Secret: "wrong"},
		"another's secret":  {ID: rotated.ID, Secret: other.Secret},
		"no secret":         {ID: rotated.ID, Secret: ""},
		"nobody":            {ID: "", Secret: ""},
		"an unknown device": {ID: "device_01hzzzzzzzzzzzzzzzzzzzzzzz", Secret: rotated.Secret},
		"the house itself":  {ID: "sluice", Secret: "sluice"},
	} {
		if _, _, err := who.Connect(t, addr); err == nil {
			t.Errorf("%s is let in", what)
		}
	}
	if _, _, err := rotated.ConnectAs(t, addr, other.ID); err == nil {
		t.Error("another's client id is let in")
	}
	for what, c := range map[string]struct {
		device   harness.Device
		mutation string
	}{
		"rotated": {rotated, `mutation($id: ID!) { rotateDeviceSecret(id: $id) { secret device { id version } } }`},
		"deleted": {deleted, `mutation($id: ID!) { deleteDevice(id: $id) }`},
	} {
		_, lost, err := c.device.Connect(t, addr)
		if err != nil {
			t.Fatalf("%s, before: %v", what, err)
		}
		answer := harness.Query[struct {
			RotateDeviceSecret struct{ Secret string }
		}](t, p, token, c.mutation, harness.Vars{"id": c.device.ID})
		select {
		case <-lost:
		case <-time.After(harness.Timeout):
			t.Errorf("the connection of a device that was %s goes on", what)
		}
		if _, _, err := c.device.Connect(t, addr); err == nil {
			t.Errorf("a device that was %s comes back", what)
		}
		if fresh := answer.RotateDeviceSecret.Secret; fresh != "" {
			if _, _, err := (harness.Device{ID: c.device.ID, Secret: fresh}).Connect(t, addr); err != nil {
				t.Errorf("the new secret is refused: %v", err)
			}
		}
	}
}

// TestReadingsAcknowledgedBeforeKillAreKept kills the program while devices send. Each reading that
// was acknowledged must be there after the restart, once.
func TestReadingsAcknowledgedBeforeKillAreKept(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	serve := []string{"serve", "--addr", "127.0.0.1:0", "--data", data}
	key := harness.CreateAPIKey(t, data, "ADMIN", "device:read", "device:write")
	p := harness.Start(t, serve...)
	devices := make([]harness.Device, 8)
	for i := range devices {
		devices[i] = p.RegisterDevice(t, key, "SENSOR")
	}
	acknowledged := make([]map[float64]bool, len(devices))
	const killedAfter = 150 // acknowledgements of the first device
	addr := p.MQTTAddr(t)
	var all sync.WaitGroup
	for i, d := range devices {
		client, _, err := d.Connect(t, addr)
		if err != nil {
			t.Fatal(err)
		}
		acknowledged[i] = map[float64]bool{}
		all.Go(func() {
			for n := 0; client.IsConnected(); n++ {
				token := client.Publish("devices/"+d.ID+"/telemetry", 1, false, fmt.Sprintf(`{"temperature": %d}`, n))
				if !token.WaitTimeout(harness.Timeout) || token.Error() != nil {
					return
				}
				acknowledged[i][float64(n)] = true
				if i == 0 && n == killedAfter {
					p.Close()
				}
			}
		})
	}
	all.Wait()
	p = harness.Start(t, serve...)
	for i, d := range devices {
		seen := map[float64]int{}
		// What had been handed out when the program was killed comes after what had not, and so out of order.
		awaitDevice(t, p, key, d.ID, "what was acknowledged", func(s shown) bool {
			clear(seen)
			for _, series := range s.Telemetry {
				for _, point := range series.Points {
					seen[point.Value]++
				}
			}
			for value := range acknowledged[i] {
				if seen[value] == 0 {
					return false
				}
			}
			return true
		})
		for value, times := range seen {
			if times != 1 {
				t.Errorf("device %d: %v is there %d times", i, value, times)
			}
		}
		if extra := len(seen) - len(acknowledged[i]); extra > 1 {
			t.Errorf("device %d: %d readings were never sent, or %v", i, extra, slices.Sorted(maps.Keys(seen)))
		}
	}
}

func TestImportOfDevicesWritesSecretsOnce(t *testing.T) {
	t.Parallel()
	data, folder := t.TempDir(), t.TempDir()
	list, secrets := filepath.Join(folder, "devices.csv"), filepath.Join(folder, "secrets.csv")
	if err := os.WriteFile(list, []byte("key,name,kind\nk1,Press 1,SENSOR\nk2,Press 2,SENSOR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	harness.MustRun(t, "import", "devices", list, "--secrets", secrets, "--data", data)
	file, err := os.ReadFile(secrets)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil || len(rows) != 3 || strings.Join(rows[0], ",") != "key,name,id,secret" || rows[1][0] != "k1" || rows[1][1] != "Press 1" {
		t.Fatalf("the file of secrets is %v, %v", rows, err)
	}
	if o := harness.Run(t, "import", "devices", list, "--secrets", secrets, "--data", data); o.Code == 0 {
		t.Error("a file with secrets is written over")
	}
	again := filepath.Join(folder, "again.csv")
	harness.MustRun(t, "import", "devices", list, "--secrets", again, "--data", data)
	if file, err := os.ReadFile(again); err != nil || strings.Count(string(file), "\n") != 1 {
		t.Errorf("devices that are known get secrets: %s, %v", file, err)
	}
	p := harness.Start(t, "serve", "--addr", "127.0.0.1:0", "--data", data)
	if _, _, err := (harness.Device{ID: rows[1][2], Secret: rows[1][3]}).Connect(t, p.MQTTAddr(t)); err != nil {
		t.Errorf("the secret is refused: %v", err)
	}
}

func TestSimulateReportsStoredReadings(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, harness.DemoArgs(t.TempDir())...)
	said := harness.MustRun(t, "simulate", "--url", p.URL, "--mqtt", p.MQTTAddr(t), "--devices", "40", "--rate", "800", "--batch", "5", "--duration", "2s")
	figures := regexp.MustCompile(`(?m)^(\w+) +(\d+) `).FindAllStringSubmatch(said, -1)
	of := map[string]string{}
	for _, f := range figures {
		of[f[1]] = f[2]
	}
	if of["connected"] != "40" || of["sent"] == "0" || of["sent"] != of["acknowledged"] || of["sent"] != of["stored"] {
		t.Errorf("it reports\n%s", said)
	}
	if left := harness.Query[struct{ Devices struct{ TotalCount int } }](t, p, p.SignIn(t, "admin"),
		`{ devices(filter: {labels: {simulated: "yes"}}) { totalCount } }`, nil).Devices.TotalCount; left != 0 {
		t.Errorf("it leaves %d devices", left)
	}
}
