package bus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/sluicehq/sluice/internal/bus"
)

func openField(t *testing.T, dir string) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{
		StoreDir: dir, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Field: &bus.FieldOptions{Addr: "127.0.0.1:0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), soon)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return b
}

// admit lets in who has the password "open".
func admit(t *testing.T, f *bus.Field) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- f.Admit(ctx, func(_ context.Context, who bus.Applicant) (bus.Grant, error) {
			if who.Password != "open" || !strings.HasPrefix(who.ClientID, who.User) {
				return bus.Grant{}, errors.New("no")
			}
			up, down := "devices."+who.User+".telemetry", "devices."+who.User
			return bus.Grant{Publish: []string{up}, Subscribe: []string{down, down + ".>"}}, nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func connect(t *testing.T, f *bus.Field, user, password string, change func(*mqtt.ClientOptions)) (mqtt.Client, error) {
	t.Helper()
	options := mqtt.NewClientOptions().AddBroker("tcp://" + f.Addr()).SetClientID(user).SetUsername(user).SetPassword(password).
		SetProtocolVersion(4).SetAutoReconnect(false).SetConnectTimeout(soon)
	if change != nil {
		change(options)
	}
	client := mqtt.NewClient(options)
	token := client.Connect()
	if !token.WaitTimeout(soon) {
		t.Fatal("the broker does not answer")
	}
	if token.Error() == nil {
		t.Cleanup(func() { client.Disconnect(0) })
	}
	return client, token.Error()
}

func done(t *testing.T, what string, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(soon) {
		t.Fatalf("%s: the broker does not answer", what)
	}
	if token.Error() != nil {
		t.Fatalf("%s: %v", what, token.Error())
	}
}

func subscribed(t *testing.T, client mqtt.Client, topic string, qos byte, to func(mqtt.Message)) byte {
	t.Helper()
	token := client.Subscribe(topic, qos, func(_ mqtt.Client, m mqtt.Message) { to(m) })
	if !token.WaitTimeout(soon) {
		t.Fatalf("subscribe to %s: the broker does not answer", topic)
	}
	return token.(*mqtt.SubscribeToken).Result()[topic]
}

func next[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(soon):
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}

const refusedSubscription = 0x80

func telemetry() bus.FieldConsumption {
	return bus.FieldConsumption{Subjects: []string{"devices.*.telemetry"}, Batch: 100, Workers: 1, Backoff: time.Millisecond}
}

func TestOnlyWhoIsAdmittedConnects(t *testing.T) {
	t.Parallel()
	f := openField(t, t.TempDir()).Field()
	admit(t, f)
	for what, who := range map[string][3]string{
		"a wrong password":    {"a", "shut", "a"},
		"no name":             {"", "", "a"},
		"another's client id": {"a", "open", "b"},
	} {
		if _, err := connect(t, f, who[0], who[1], func(o *mqtt.ClientOptions) { o.SetClientID(who[2]) }); err == nil {
			t.Errorf("%s is let in", what)
		}
	}
	if _, err := connect(t, f, "a", "open", nil); err != nil {
		t.Errorf("who may is refused: %v", err)
	}
}

func TestADeviceHasItsOwnTopicsOnly(t *testing.T) {
	t.Parallel()
	b := openField(t, t.TempDir())
	f := b.Field()
	admit(t, f)
	if err := f.Declare(t.Context(), telemetry()); err != nil {
		t.Fatal(err)
	}
	a, err := connect(t, f, "a", "open", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"devices/b/commands", "devices/#", "#", "devices/+/commands", "$MQTT/sub/#", "$MQTT/msgs/#", "$SYS/#", "$JS/#", "event/#"} {
		if granted := subscribed(t, a, topic, 1, func(mqtt.Message) {}); granted != refusedSubscription {
			t.Errorf("%s is granted with %d", topic, granted)
		}
	}
	for _, topic := range []string{"devices/a/#", "devices/a/commands"} {
		if granted := subscribed(t, a, topic, 1, func(mqtt.Message) {}); granted != 1 {
			t.Errorf("%s is granted with %#x", topic, granted)
		}
	}
	for _, topic := range []string{"devices/b/telemetry", "devices/a/other", "$MQTT/msgs/devices/b/telemetry", "event/trip/changed/x", "$JS/API/STREAM/DELETE/EVENTS"} {
		done(t, topic, a.Publish(topic, 1, false, "foreign"))
	}
	done(t, "own", a.Publish("devices/a/telemetry", 1, false, "own"))
	got := make(chan bus.FieldMessage, 10)
	hear(t, f, telemetry(), func(m bus.FieldMessage) error { got <- m; return nil })
	if m := next(t, "own", got); m.Subject != "devices.a.telemetry" || string(m.Data) != "own" || m.Sequence != 1 || m.ArrivedAt.IsZero() {
		t.Errorf("the first that is kept is %s %q at %d", m.Subject, m.Data, m.Sequence)
	}
}

// hear hands each message to handle until the test ends.
func hear(t *testing.T, f *bus.Field, config bus.FieldConsumption, handle func(bus.FieldMessage) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- f.Consume(ctx, config, func(_ context.Context, batch []bus.FieldMessage) []error {
			outcomes := make([]error, len(batch))
			for i, m := range batch {
				outcomes[i] = handle(m)
			}
			return outcomes
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestWhatWasAcknowledgedIsHandledAndComesAgainUntilItIs(t *testing.T) {
	t.Parallel()
	f := openField(t, t.TempDir()).Field()
	admit(t, f)
	if err := f.Declare(t.Context(), telemetry()); err != nil {
		t.Fatal(err)
	}
	a, err := connect(t, f, "a", "open", nil)
	if err != nil {
		t.Fatal(err)
	}
	const n = 100
	for i := range n {
		done(t, "publish", a.Publish("devices/a/telemetry", 1, false, fmt.Sprint(i)))
	}
	tries := map[string]int{}
	all := make(chan string, n)
	hear(t, f, telemetry(), func(m bus.FieldMessage) error {
		if tries[string(m.Data)]++; tries[string(m.Data)] == 1 {
			return errors.New("not now")
		}
		all <- string(m.Data)
		return nil
	})
	seen := map[string]bool{}
	for len(seen) < n {
		seen[next(t, fmt.Sprintf("after %d", len(seen)), all)] = true
	}
}

func TestDevicesAreTold(t *testing.T) {
	t.Parallel()
	f := openField(t, t.TempDir()).Field()
	admit(t, f)
	for _, qos := range []byte{0, 1} {
		user := fmt.Sprint("quality", qos)
		got := make(chan mqtt.Message, 10)
		client, err := connect(t, f, user, "open", nil)
		if err != nil {
			t.Fatal(err)
		}
		if granted := subscribed(t, client, "devices/"+user+"/commands", qos, func(m mqtt.Message) { got <- m }); granted != qos {
			t.Fatalf("granted %d, want %d", granted, qos)
		}
		for _, text := range []string{"one", "two"} { // once each, although there are two ways
			if err := f.Deliver(t.Context(), "devices."+user+".commands", []byte(text)); err != nil {
				t.Fatal(err)
			}
			if m := next(t, text, got); string(m.Payload()) != text || m.Qos() != qos {
				t.Errorf("heard %q with %d, want %q with %d", m.Payload(), m.Qos(), text, qos)
			}
		}
	}
}

func TestALastingSessionIsToldWhatItMissed(t *testing.T) {
	t.Parallel()
	f := openField(t, t.TempDir()).Field()
	admit(t, f)
	got := make(chan mqtt.Message, 10)
	lasting := func(o *mqtt.ClientOptions) {
		o.SetCleanSession(false)
		o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { got <- m })
	}
	client, err := connect(t, f, "a", "open", lasting)
	if err != nil {
		t.Fatal(err)
	}
	subscribed(t, client, "devices/a/commands", 1, func(m mqtt.Message) { got <- m })
	client.Disconnect(100)
	gone(t, f)
	if err := f.Deliver(t.Context(), "devices.a.commands", []byte("missed")); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, f, "a", "open", lasting); err != nil {
		t.Fatal(err)
	}
	if m := next(t, "after it came back", got); string(m.Payload()) != "missed" {
		t.Errorf("heard %q", m.Payload())
	}
}

// gone waits until nobody is connected.
func gone(t *testing.T, f *bus.Field) {
	t.Helper()
	for deadline := time.Now().Add(soon); ; {
		who, err := f.Connected(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(who) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v are still connected", who)
		}
		<-time.After(5 * time.Millisecond) // between two looks
	}
}

func TestComingAndGoingIsToldAndConnectionsAreCut(t *testing.T) {
	t.Parallel()
	f := openField(t, t.TempDir()).Field()
	admit(t, f)
	told := make(chan bus.Connection, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- f.Watch(ctx, func(c bus.Connection) { told <- c }) }()
	lost := make(chan error, 1)
	watched := func() (mqtt.Client, error) { // until the watch has begun
		return connect(t, f, "a", "open", func(o *mqtt.ClientOptions) {
			o.SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
		})
	}
	for begun := false; !begun; {
		client, err := watched()
		if err != nil {
			t.Fatal(err)
		}
		select {
		case c := <-told:
			if begun = true; c.User != "a" || !c.Open {
				t.Fatalf("told %+v", c)
			}
		case <-time.After(100 * time.Millisecond):
			client.Disconnect(0)
			gone(t, f)
		}
	}
	if _, err := connect(t, f, "a", "shut", nil); err == nil {
		t.Fatal("let in")
	}
	who, err := f.Connected(t.Context())
	if err != nil || len(who) != 1 || who["a"].IsZero() {
		t.Errorf("connected are %v, %v", who, err)
	}
	for _, want := range []struct {
		user string
		n    int
	}{{"b", 0}, {"a", 1}} {
		if n, err := f.Cut(t.Context(), want.user); err != nil || n != want.n {
			t.Errorf("cut %d of %s, %v", n, want.user, err)
		}
	}
	next(t, "being cut", lost)
	if c := next(t, "the end", told); c.User != "a" || c.Open { // and nothing of the one that was refused
		t.Errorf("told %+v", c)
	}
	if who, err := f.Connected(t.Context()); err != nil || len(who) != 0 {
		t.Errorf("connected are still %v, %v", who, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
