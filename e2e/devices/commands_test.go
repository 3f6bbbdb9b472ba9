package devices

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/gorilla/websocket"
	"github.com/sluicehq/sluice/e2e/harness"
)

// worker is a device that carries commands out, each once, and answers again when it is asked again.
// What it says it says until the broker has acknowledged it, after a new connection if need be.
type worker struct {
	harness.Device
	silent func(name string) bool // of which commands it says nothing

	speaking sync.Mutex // held by whoever publishes what is unsaid
	mu       sync.Mutex
	done     map[string]int // how often it was told to, by id
	open     bool           // its lock
	client   mqtt.Client    // of the last connection
	unsaid   []statement    // not acknowledged, the oldest first
}

// statement is a message of a worker.
type statement struct{ topic, payload string }

func newWorker(d harness.Device) *worker {
	return &worker{Device: d, silent: func(string) bool { return false }, done: map[string]int{}}
}

// serve connects the worker, and has it carry out what it is told.
func (w *worker) serve(t *testing.T, addr string) mqtt.Client {
	t.Helper()
	client, _, err := w.Connect(t, addr)
	if err != nil {
		t.Fatal(err)
	}
	token := client.Subscribe("devices/"+w.ID+"/commands", 1, func(_ mqtt.Client, m mqtt.Message) { w.obey(m.Payload()) })
	if !token.WaitTimeout(harness.Timeout) || token.Error() != nil {
		t.Fatal("the device cannot subscribe", token.Error())
	}
	w.mu.Lock()
	w.client = client
	w.mu.Unlock()
	go w.speak()
	return client
}

// obey carries out a command.
func (w *worker) obey(payload []byte) {
	var c struct {
		ID, Name string
		Deadline time.Time
	}
	if err := json.Unmarshal(payload, &c); err != nil || !time.Now().Before(c.Deadline) || w.silent(c.Name) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done[c.ID]++; w.done[c.ID] == 1 && (c.Name == "lock" || c.Name == "unlock") {
		w.open = c.Name == "unlock"
	}
	w.unsaid = append(w.unsaid,
		statement{"ack", fmt.Sprintf(`{"id":%q}`, c.ID)},
		statement{"log", fmt.Sprintf(`{"id":%q,"stream":"stdout","text":"click"}`, c.ID)},
		statement{"result", fmt.Sprintf(`{"id":%q,"ok":true}`, c.ID)})
	go w.speak() // a handler must not wait for the broker
}

// speak says what is unsaid, as far as the last connection goes.
func (w *worker) speak() {
	w.speaking.Lock()
	defer w.speaking.Unlock()
	for {
		w.mu.Lock()
		client, unsaid := w.client, w.unsaid
		w.mu.Unlock()
		if client == nil || len(unsaid) == 0 {
			return
		}
		token := client.Publish("devices/"+w.ID+"/commands/"+unsaid[0].topic, 1, false, unsaid[0].payload)
		if !token.WaitTimeout(harness.Timeout) || token.Error() != nil {
			return
		}
		w.mu.Lock()
		w.unsaid = w.unsaid[1:]
		w.mu.Unlock()
	}
}

type sentCommand struct {
	ID, Status string
	Reason     *string
	FinishedAt *time.Time
	Result     map[string]any
	Log        []struct{ Text string }
}

// sendCommand sends a command that has as long as a slow machine may take.
func sendCommand(t *testing.T, p *harness.Program, token, deviceID, name string) sentCommand {
	t.Helper()
	return sendCommandWithTimeout(t, p, token, deviceID, name, 4*harness.Timeout)
}

func sendCommandWithTimeout(t *testing.T, p *harness.Program, token, deviceID, name string, timeout time.Duration) sentCommand {
	t.Helper()
	const send = `mutation($d: ID!, $name: String!, $s: Int!) { sendCommand(input: {deviceId: $d, name: $name, timeoutSeconds: $s}) { id status reason } }`
	return harness.Query[struct{ SendCommand sentCommand }](t, p, token, send, harness.Vars{"d": deviceID, "name": name, "s": int(timeout.Seconds())}).SendCommand
}

func findCommand(t *testing.T, p *harness.Program, token, id string) sentCommand {
	t.Helper()
	const query = `query($id: ID!) { node(id: $id) { ... on Command { id status reason finishedAt result log { text } } } }`
	return harness.Query[struct{ Node sentCommand }](t, p, token, query, harness.Vars{"id": id}).Node
}

func lockState(t *testing.T, p *harness.Program, token, id string) string {
	t.Helper()
	return harness.Query[struct{ Device struct{ LockState string } }](t, p, token, `query($id: ID!) { device(id: $id) { lockState } }`, harness.Vars{"id": id}).Device.LockState
}

type journey struct {
	ID, Status      string
	Failure         *string
	DurationSeconds int
	Fee             struct{ AmountMinor int }
	Track           []struct{ Latitude float64 }
}

func rentVehicle(t *testing.T, p *harness.Program, token, vehicleID string) journey {
	t.Helper()
	const rent = `mutation($v: ID!) { startTrip(input: {vehicleId: $v, position: {latitude: 48.1, longitude: 11.5}}) { id status failure durationSeconds fee { amountMinor } } }`
	return harness.Query[struct{ StartTrip journey }](t, p, token, rent, harness.Vars{"v": vehicleID}).StartTrip
}

func findTrip(t *testing.T, p *harness.Program, token, id string) journey {
	t.Helper()
	const query = `query($id: ID!) { trip(id: $id) { id status failure durationSeconds fee { amountMinor } track { latitude } } }`
	return harness.Query[struct{ Trip journey }](t, p, token, query, harness.Vars{"id": id}).Trip
}

// The device of docs/devices.md, in a shell, carries a command out, and a trip.
func TestDocDeviceExecutesCommands(t *testing.T) {
	t.Parallel()
	needMosquitto(t)
	page, err := os.ReadFile("../../docs/devices.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := shellBlock.FindAllStringSubmatch(string(page), -1)
	at := slices.IndexFunc(blocks, func(b []string) bool { return strings.Contains(b[1], "say result") })
	if at < 0 {
		t.Fatal("the page has no device that carries out commands")
	}
	p := harness.Start(t, harness.DemoArgs(t.TempDir())...)
	admin, alice := p.SignIn(t, "admin"), p.SignIn(t, "alice")
	d := p.RegisterDevice(t, admin, "VEHICLE")
	host, port, _ := strings.Cut(p.MQTTAddr(t), ":")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	device := exec.CommandContext(ctx, "sh", "-c", blocks[at][1])
	device.Env = append(os.Environ(), "MQTT_HOST="+host, "MQTT_PORT="+port, "ID="+d.ID, "SECRET="+d.Secret)
	device.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with all that it starts
	device.Cancel = func() error { return syscall.Kill(-device.Process.Pid, syscall.SIGKILL) }
	if err := device.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = device.Wait() }()
	awaitDevice(t, p, admin, d.ID, "that it is there", func(s shown) bool { return s.Presence == "ONLINE" })

	c := sendCommand(t, p, admin, d.ID, "blink")
	output := subscribeCommandOutput(t, p, admin, c.ID)
	harness.Eventually(t, harness.Timeout, "the command is carried out", func() bool { return findCommand(t, p, admin, c.ID).Status == "SUCCEEDED" })
	if got := findCommand(t, p, admin, c.ID); len(got.Log) != 1 || got.Log[0].Text != "click" || got.Result["took"] != 0.2 {
		t.Errorf("the command ended as %+v", got)
	}
	_ = output.Close()

	trip := rentVehicle(t, p, alice, d.ID)
	harness.Eventually(t, harness.Timeout, "the trip has started", func() bool { return findTrip(t, p, alice, trip.ID).Status == "IN_PROGRESS" })
	if state := lockState(t, p, admin, d.ID); state != "UNLOCKED" {
		t.Errorf("the vehicle of a trip is %s", state)
	}
	harness.Query[any](t, p, alice, `mutation($id: ID!) { endTrip(tripId: $id) { status } }`, harness.Vars{"id": trip.ID})
	harness.Eventually(t, harness.Timeout, "the vehicle is locked", func() bool { return lockState(t, p, admin, d.ID) == "LOCKED" })
}

// commandOutput subscribes to what a device says while it runs the command.
func subscribeCommandOutput(t *testing.T, p *harness.Program, token, id string) *websocket.Conn {
	t.Helper()
	conn := p.Dial(t, nil)
	for _, text := range []string{
		`{"type":"connection_init","payload":{"Authorization":"Bearer ` + token + `"}}`,
		`{"id":"1","type":"subscribe","payload":{"query":"subscription { commandOutput(commandId: \"` + id + `\") { stream text } }"}}`,
		`{"type":"ping"}`,
	} {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), `"pong"`) || strings.Contains(string(text), `"click"`) {
			return conn
		}
	}
}

// A subscriber reads what a device says while it runs a command; positions of a vehicle move its trip.
func TestCommandOutputIsStreamedAndPositionsMoveTrips(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, harness.DemoArgs(t.TempDir())...)
	admin, alice := p.SignIn(t, "admin"), p.SignIn(t, "alice")
	w := newWorker(p.RegisterDevice(t, admin, "VEHICLE"))
	offline := rentVehicle(t, p, alice, w.ID)
	harness.Eventually(t, 4*harness.Timeout, "a trip on a vehicle that is not there has failed", func() bool {
		got := findTrip(t, p, alice, offline.ID)
		return got.Status == "FAILED" && got.Fee.AmountMinor == 0 && got.Failure != nil
	})
	client := w.serve(t, p.MQTTAddr(t))
	awaitDevice(t, p, admin, w.ID, "that it is there", func(s shown) bool { return s.Presence == "ONLINE" })
	w.silent = func(name string) bool { return name == "wait" }
	c := sendCommand(t, p, admin, w.ID, "wait")
	output := subscribeCommandOutput(t, p, admin, c.ID)
	client.Publish("devices/"+w.ID+"/commands/log", 1, false, fmt.Sprintf(`{"id":%q,"stream":"stderr","text":"half way"}`, c.ID))
	if _, text, err := output.ReadMessage(); err != nil || !strings.Contains(string(text), `"commandOutput":{"stream":"stderr","text":"half way"}`) {
		t.Errorf("the subscriber got %s, %v", text, err)
	}
	trip := rentVehicle(t, p, alice, w.ID)
	harness.Eventually(t, harness.Timeout, "the trip has started", func() bool { return findTrip(t, p, alice, trip.ID).Status == "IN_PROGRESS" })
	client.Publish("devices/"+w.ID+"/position", 1, false, `{"latitude": 48.1001, "longitude": 11.5}`)
	harness.Eventually(t, harness.Timeout, "the trip has moved with its vehicle", func() bool {
		track := findTrip(t, p, alice, trip.ID).Track
		return len(track) == 2 && track[1].Latitude == 48.1001
	})
}

// The program is killed while devices carry out commands and a vehicle opens for a trip: after the
// restart each command comes to its end, each device was told of it under one id, and so does the trip.
func TestCommandsAfterKillAllEnd(t *testing.T) {
	t.Parallel()
	const devices, each = 20, 5
	data := t.TempDir()
	p := harness.Start(t, harness.DemoArgs(data)...)
	admin, alice := p.SignIn(t, "admin"), p.SignIn(t, "alice")
	workers := make([]*worker, devices)
	for i := range workers {
		workers[i] = newWorker(p.RegisterDevice(t, admin, "GATEWAY"))
		mute := i%4 == 0
		workers[i].silent = func(name string) bool { return mute && name == "c0" }
		workers[i].serve(t, p.MQTTAddr(t))
	}
	car := newWorker(p.RegisterDevice(t, admin, "VEHICLE"))
	var dead atomic.Bool // until the restart, so that the trip is caught between
	dead.Store(true)
	car.silent = func(string) bool { return dead.Load() }
	car.serve(t, p.MQTTAddr(t))
	var sent []sentCommand
	for i := range each {
		for _, w := range workers {
			name, timeout := fmt.Sprint("c", i), 4*harness.Timeout
			if w.silent(name) {
				timeout = 30 * time.Second
			}
			sent = append(sent, sendCommandWithTimeout(t, p, admin, w.ID, name, timeout))
		}
	}
	trip := rentVehicle(t, p, alice, car.ID)
	if trip.Status != "UNLOCKING" || trip.Fee.AmountMinor != 0 {
		t.Errorf("the trip is %+v", trip)
	}
	p.Kill(t)
	dead.Store(false)
	p = harness.Start(t, harness.DemoArgs(data)...)
	admin, alice = p.SignIn(t, "admin"), p.SignIn(t, "alice")
	for _, w := range append(workers, car) {
		w.serve(t, p.MQTTAddr(t))
	}
	harness.Eventually(t, 3*harness.Timeout, "the trip has started, or failed", func() bool { return findTrip(t, p, alice, trip.ID).Status != "UNLOCKING" })
	if got := findTrip(t, p, alice, trip.ID); got.Status == "IN_PROGRESS" {
		harness.Query[any](t, p, alice, `mutation($id: ID!) { endTrip(tripId: $id) { status } }`, harness.Vars{"id": trip.ID})
	} else {
		t.Logf("the restart took longer than the vehicle had to open: %+v", got)
	}
	ended := map[string]int{}
	for _, c := range sent {
		harness.Eventually(t, 4*harness.Timeout, "a command has ended", func() bool { return findCommand(t, p, admin, c.ID).FinishedAt != nil })
		ended[findCommand(t, p, admin, c.ID).Status]++
	}
	if ended["SUCCEEDED"] != devices*each-devices/4 || ended["TIMED_OUT"] != devices/4 {
		t.Errorf("the commands ended as %v", ended)
	}
	p.Kill(t)
	p = harness.Start(t, harness.DemoArgs(data)...)
	car.serve(t, p.MQTTAddr(t))
	admin = p.SignIn(t, "admin")
	harness.Eventually(t, 3*harness.Timeout, "the vehicle is locked", func() bool { return lockState(t, p, admin, car.ID) == "LOCKED" })
}

// The services of devices and of trips run in processes of their own, each with a broker of its own:
// nothing is heard across, and yet the vehicle opens for the trip, and is locked after it.
func TestVehicleOpensWithServicesInSeparateProcesses(t *testing.T) {
	t.Parallel()
	in := harness.StartInstallation(t)
	p := in.Gateway
	admin, bob := p.SignIn(t, "admin"), p.SignIn(t, "bob")
	w := newWorker(p.RegisterDevice(t, admin, "VEHICLE"))
	w.serve(t, in.MQTTAddr)
	trip := rentVehicle(t, p, bob, w.ID)
	in.Services["trip"].Kill(t)
	in.StartService(t, "trip")
	harness.Eventually(t, harness.Timeout, "the trip has started", func() bool {
		response := p.Execute(t, bob, `query($id: ID!) { trip(id: $id) { status } }`, harness.Vars{"id": trip.ID})
		return strings.Contains(string(response.Data), `"IN_PROGRESS"`)
	})
	in.Services["device"].Kill(t)
	p.Execute(t, bob, `mutation($id: ID!) { endTrip(tripId: $id) { status } }`, harness.Vars{"id": trip.ID}) // whatever it says of the device
	in.StartService(t, "device")
	w.serve(t, in.MQTTAddr)
	harness.Eventually(t, 2*harness.Timeout, "the vehicle is locked", func() bool {
		response := p.Execute(t, admin, `query($id: ID!) { device(id: $id) { lockState } trip(id: "`+trip.ID+`") { status } }`, harness.Vars{"id": w.ID})
		return strings.Contains(string(response.Data), `"LOCKED"`) && strings.Contains(string(response.Data), `"FINISHED"`)
	})
}
