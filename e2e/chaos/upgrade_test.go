package chaos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
	"github.com/sluicehq/sluice/internal/sqldb"
)

// oldCommit is the last one whose devices connected to the MQTT listener of NATS.
const oldCommit = "69dfdb5297ba106106432c759bba1fad940534fe"

// The folder of such a program, which was killed with messages that it had acknowledged and not handled.
// SLUICE_CHAOS_FIXTURE=1 in the whole form writes it.
const (
	oldFixture  = "testdata/old-folder.tar.gz"
	oldManifest = "devices.json"
	oldMessages = 400 // a device
)

// Messages that an earlier version acknowledged and did not handle are taken over from its folder, once, and its
// devices connect with the same secrets.
func TestUpgradeFromTheListenerOfNATS(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	if whole() {
		leaveMessages(t, data)
	} else if out, err := exec.CommandContext(t.Context(), "tar", "-xzf", oldFixture, "-C", filepath.Dir(data)).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(filepath.Join(data, oldManifest))
	var devices []harness.Device
	if err == nil {
		err = json.Unmarshal(content, &devices)
	}
	if err != nil {
		t.Fatal(err)
	}
	before := storedReadings(t, data, devices)
	if before == len(devices)*oldMessages {
		t.Fatal("no message is left")
	}
	p := harness.Start(t, "serve", "--addr", "127.0.0.1:0", "--data", data)
	harness.Eventually(t, 2*harness.Timeout, "the messages are taken over", func() bool { return storedReadings(t, data, devices) == len(devices)*oldMessages })
	t.Logf("%d of %d readings are taken over", len(devices)*oldMessages-before, len(devices)*oldMessages)
	streams := filepath.Join(data, "nats", "jetstream", "$G", "streams")
	harness.Eventually(t, harness.Timeout, "the streams are deleted", func() bool {
		left, err := filepath.Glob(filepath.Join(streams, "$MQTT_*"))
		return err == nil && len(left) == 0
	})
	for _, d := range devices {
		client, _, err := d.Connect(t, p.MQTTAddr(t))
		if err != nil {
			t.Fatalf("the secret is refused: %v", err)
		}
		if sent := client.Publish("devices/"+d.ID+"/telemetry", 1, false, `{"t": 1}`); !sent.WaitTimeout(harness.Timeout) || sent.Error() != nil {
			t.Fatal(sent.Error())
		}
	}
	if n := storedReadings(t, data, devices); n != len(devices)*(oldMessages+1) {
		t.Errorf("%d readings are stored", n)
	}
	if said := p.Stderr.String(); strings.Contains(said, "ERROR") {
		t.Errorf("the program reports\n%s", said)
	}
}

// oldProgram builds the program of the old commit, unless SLUICE_CHAOS_OLD names it.
func oldProgram(t *testing.T) string {
	t.Helper()
	if binary := os.Getenv("SLUICE_CHAOS_OLD"); binary != "" {
		return binary
	}
	source := t.TempDir()
	binary := filepath.Join(source, "sluice-old")
	build := fmt.Sprintf("git archive %s | tar -x -C %s && cd %s && go build -o %s ./cmd/sluice", oldCommit, source, source, binary)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", build)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", oldCommit, err, out)
	}
	return binary
}

func storedReadings(t *testing.T, data string, devices []harness.Device) (n int) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(data, "device.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, d := range devices {
		var count int
		if err := db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM readings WHERE device_id = $1`, d.ID).Scan(&count); err != nil {
			t.Fatal(err)
		}
		n += count
	}
	return n
}

// leaveMessages builds the old program, runs its demo, and kills it when it has acknowledged more than it has handled.
func leaveMessages(t *testing.T, data string) {
	t.Helper()
	binary := oldProgram(t)
	args := harness.DemoArgs(data)
	if os.Getenv("SLUICE_CHAOS_FIXTURE") != "" {
		args = []string{"serve", "--addr", "127.0.0.1:0", "--data", data} // without recordings, so that the file is small
	}
	key := harness.CommandOf(t.Context(), binary, "apikey", "create", "test", "--role", "ADMIN", "--scope", "device:write", "--scope", "device:read", "--points-per-minute", "100000", "--data", data)
	token, err := key.Output()
	if err != nil {
		t.Fatal(err)
	}
	p := harness.LaunchCommand(t, harness.CommandOf(context.Background(), binary, args...))
	t.Cleanup(p.Close)
	p.AwaitReady(t)
	var devices []harness.Device
	var sending sync.WaitGroup
	for range 10 {
		d := p.RegisterDevice(t, strings.TrimSpace(string(token)), "SENSOR")
		devices = append(devices, d)
	}
	addr := p.MQTTAddr(t)
	for _, d := range devices {
		sending.Go(func() {
			if err := burst(d, addr); err != nil {
				t.Error(err)
			}
		})
	}
	sending.Wait()
	p.Kill(t)
	content, err := json.Marshal(devices)
	if err == nil {
		err = os.WriteFile(filepath.Join(data, oldManifest), content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("SLUICE_CHAOS_FIXTURE") != "" {
		if out, err := exec.CommandContext(t.Context(), "tar", "-czf", oldFixture, "-C", filepath.Dir(data), filepath.Base(data)).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}

// burst publishes readings with quality of service 1, and returns when all are acknowledged.
func burst(d harness.Device, addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(harness.Timeout))
	var all bytes.Buffer
	all.Write(connectPacket(4, 2, d.ID, d.ID, d.Secret))
	for i := range oldMessages {
		all.Write(publishPacket(1, uint16(i+1), "devices/"+d.ID+"/telemetry", fmt.Sprintf(`{"at": %d, "values": {"t": 1}}`, 1_764_000_000_000+i)))
	}
	go func() { _, _ = conn.Write(all.Bytes()) }() // the reader below finds out
	r := bufio.NewReader(conn)
	for range oldMessages + 1 {
		if _, _, err := readPacket(r); err != nil {
			return err
		}
	}
	return nil
}
