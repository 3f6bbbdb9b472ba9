package bus_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/sluicehq/sluice/internal/bus"
)

// fieldFolder, in the environment, makes this test binary a broker for devices that is killed.
const fieldFolder = "SLUICE_BUS_TEST_FIELD"

// acknowledgeUntilKilled lets devices in and handles nothing of what they say.
func acknowledgeUntilKilled(dir string) {
	ctx := context.Background()
	go func() { // so that it does not outlive the test, however that ends
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	b, err := bus.Open(ctx, bus.Options{StoreDir: dir, Field: &bus.FieldOptions{Addr: "127.0.0.1:0"}})
	if err == nil {
		err = b.Field().Declare(ctx, telemetry())
	}
	if err == nil {
		fmt.Println(b.Field().Addr())
		err = b.Field().Admit(ctx, func(_ context.Context, who bus.Applicant) (bus.Grant, error) {
			return bus.Grant{Publish: []string{"devices.a.telemetry"}, Subscribe: []string{"devices.a"}}, nil
		})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// A broker that is killed between the acknowledgement of a message and its handling has it afterwards.
func TestWhatWasAcknowledgedToDevicesSurvivesKill9(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for round := range 3 {
		for text := range sentUntilKilled(t, dir, round) {
			acknowledged[text] = true
		}
	}
	f := openField(t, dir).Field()
	handled := make(chan string, len(acknowledged))
	hear(t, f, telemetry(), func(m bus.FieldMessage) error { handled <- string(m.Data); return nil })
	for len(acknowledged) > 0 {
		delete(acknowledged, next(t, fmt.Sprintf("%d are missing", len(acknowledged)), handled))
	}
}

// sentUntilKilled publishes until the broker is killed, and gives what was acknowledged.
func sentUntilKilled(t *testing.T, dir string, round int) map[string]bool {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), fieldFolder+"="+dir)
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = child.Process.Kill() // it may be gone already
		_ = child.Wait()         // it was killed
	}()
	addr := ""
	for lines := bufio.NewScanner(output); addr == "" && lines.Scan(); {
		addr = lines.Text()
	}
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetProtocolVersion(4).
		SetClientID("a").SetUsername("a").SetPassword("x").SetAutoReconnect(false))
	for deadline := time.Now().Add(soon); ; { // until it admits
		token := client.Connect()
		if token.WaitTimeout(soon) && token.Error() == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("connect: %v", token.Error())
		}
	}
	acknowledged := map[string]bool{}
	const killedAt, flying = 200, 300
	tokens := make([]mqtt.Token, flying)
	text := func(i int) string { return fmt.Sprint(round, "/", i) }
	for i := range tokens {
		tokens[i] = client.Publish("devices/a/telemetry", 1, false, text(i))
	}
	for i, token := range tokens {
		token.Wait()
		if i == killedAt { // while the rest is on its way
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if token.Error() == nil {
			acknowledged[text(i)] = true
		}
	}
	if len(acknowledged) < killedAt {
		t.Fatalf("only %d were acknowledged", len(acknowledged))
	}
	return acknowledged
}
