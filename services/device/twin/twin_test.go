package twin_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/worker"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/devicetest"
	"github.com/sluicehq/sluice/services/device/twin"
	"github.com/sluicehq/sluice/services/device/uplink"
)

// mailbox is a downlink that keeps what it is given.
type mailbox struct {
	mu   sync.Mutex
	got  []string // "device topic payload"
	down error
}

func (m *mailbox) Route(context.Context, string) (bool, error) { return true, nil }

func (m *mailbox) Deliver(_ context.Context, sent device.DownMessage) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return m.down
	}
	m.got = append(m.got, fmt.Sprintf("%s %s %s", sent.DeviceID, sent.Topic, sent.Payload))
	return nil
}

// take gives what was delivered since the last time.
func (m *mailbox) take() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	got := m.got
	m.got = nil
	return got
}

// delivered is a station with a mailbox, and one device.
type delivered struct {
	*devicetest.Station
	mail *mailbox
	id   string
}

func openTwin(t *testing.T, kind device.Kind) *delivered {
	t.Helper()
	f := &delivered{Station: devicetest.Open(t), mail: &mailbox{}}
	f.Downlink = f.mail
	f.Restart()
	f.id = f.Register(t, kind).ID
	return f
}

func (f *delivered) set(t *testing.T, desired string) twin.Config {
	t.Helper()
	c, err := f.Twins.Set(devicetest.As(t, caller.Operator), twin.SetInput{DeviceID: f.id, Desired: desired})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (f *delivered) report(t *testing.T, payload string) {
	t.Helper()
	f.Clock.Advance(time.Second)
	err := f.Uplink.Handle(t.Context(), device.UpMessage{DeviceID: f.id, Topic: device.UpConfigReported, Payload: []byte(payload), ArrivedAt: f.Clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
}

func (f *delivered) config(t *testing.T) twin.Config {
	t.Helper()
	found, err := f.Twins.BatchGet(devicetest.As(t, caller.Operator), []string{f.id})
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	return found[0]
}

// delivered checks what reached the device since the last time.
func (f *delivered) delivered(t *testing.T, what string, want ...string) {
	t.Helper()
	if _, err := f.Twins.DeliverPending(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		want[i] = f.id + " config/desired " + want[i]
	}
	if got := f.mail.take(); !slices.Equal(got, want) {
		t.Errorf("%s: delivered %q, want %q", what, got, want)
	}
}

func (f *delivered) connect(t *testing.T) {
	t.Helper()
	if err := f.Uplink.Welcome(t.Context(), f.id); err != nil {
		t.Fatal(err)
	}
}

func TestAWantedConfigurationIsDeliveredUntilItIsReported(t *testing.T) {
	t.Parallel()
	f := openTwin(t, device.Camera)
	const one = `{"version":1,"desired":{"fps":5}}`
	f.connect(t)
	f.delivered(t, "nothing is wanted")
	if c := f.set(t, `{ "fps": 5 }`); c.InSync() || c.DesiredVersion != 1 {
		t.Errorf("wanted %+v", c)
	}
	f.delivered(t, "wanted", one)
	f.Restart()
	f.delivered(t, "the server is restarted")
	f.connect(t)
	f.delivered(t, "it comes back without having reported", one)
	f.set(t, `{"fps":5}`)
	f.delivered(t, "the same is wanted again")
	f.report(t, `{"version":1,"reported":{"fps":5}}`)
	if c := f.config(t); !c.InSync() || c.Reported != `{"fps":5}` {
		t.Errorf("reported %+v", c)
	}
	f.connect(t)
	f.Restart()
	f.connect(t)
	f.delivered(t, "it comes back after it has reported")
	f.set(t, `{"fps":25}`)
	f.delivered(t, "another is wanted", `{"version":2,"desired":{"fps":25}}`)
}

// A connection that is noticed twice receives its configuration once.
func TestDeliveryNewConnectionRepeatsConfig(t *testing.T) {
	t.Parallel()
	f := openTwin(t, device.Camera)
	const one = `{"version":1,"desired":{}}`
	f.set(t, `{}`)
	f.delivered(t, "wanted", one)
	f.connect(t)
	f.connect(t)
	f.delivered(t, "it connects", one)
	f.Clock.Advance(time.Minute)
	f.delivered(t, "and then no more")
	f.connect(t)
	f.delivered(t, "it connects again", one)
	f.report(t, `{"version":1,"reported":{}}`)
	f.delivered(t, "it has reported meanwhile")
}

func TestWhatTheBrokerDoesNotTakeIsDeliveredLater(t *testing.T) {
	t.Parallel()
	f := openTwin(t, device.Camera)
	f.mail.down = errors.New("broker is down")
	f.set(t, `{}`)
	if _, err := f.Twins.DeliverPending(t.Context()); err == nil {
		t.Error("the broker is down and nobody is delivered")
	}
	f.mail.down = nil
	f.Clock.Advance(2 * time.Second)
	f.delivered(t, "the broker is back", `{"version":1,"desired":{}}`)
}

// A new configuration wakes the delivery.
func TestDeliverySetConfigDeliversAtOnce(t *testing.T) {
	t.Parallel()
	f := openTwin(t, device.Camera)
	w := worker.New(f.Twins.DeliveryLoop(), worker.Options{})
	w.Start(t.Context())
	f.set(t, `{}`)
	for deadline := time.After(time.Minute); ; {
		if got := f.mail.take(); len(got) == 1 {
			break
		}
		select {
		case <-deadline:
			t.Fatal("nothing was delivered")
		case <-time.After(time.Millisecond):
		}
	}
	if err := w.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReportsThatComeLateOrAreWrongHarmNothing(t *testing.T) {
	t.Parallel()
	f := openTwin(t, device.Camera)
	f.set(t, `{"fps":5}`)
	f.set(t, `{"fps":6}`)
	early := f.Clock.Now()
	f.report(t, `{"version":2,"reported":{"fps":6}}`)
	late := device.UpMessage{DeviceID: f.id, Topic: device.UpConfigReported, Payload: []byte(`{"version":1,"reported":{}}`), ArrivedAt: early}
	if err := f.Uplink.Handle(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	events := len(f.Events(t, f.id))
	f.report(t, `{"version":2,"reported":{"fps":6}}`) // again
	if c := f.config(t); !c.InSync() || c.Reported != `{"fps":6}` || len(f.Events(t, f.id)) != events {
		t.Errorf("after a late and a repeated report: %+v", c)
	}
	for _, payload := range []string{
		``, `[]`, `{`, `null`, `{"version":2}`, `{"version":2,"reported":5}`, `{"version":"2","reported":{}}`, `{"version":-1,"reported":{}}`,
		`{"version":3,"reported":{}}`, `{"version":2,"reported":{},"more":1}`, `{"reported":{}}`,
		`{"version":2,"reported":{"a":"` + strings.Repeat("x", 63<<10) + `"}}`,
	} {
		f.report(t, payload)
		if e := f.Events(t, f.id)[0]; e.Type != uplink.Refused {
			t.Errorf("%.40s is noted as %+v", payload, e)
		}
	}
	if c := f.config(t); c.Reported != `{"fps":6}` {
		t.Errorf("after wrong reports: %+v", c)
	}
	f.report(t, `{"version":1,"reported":{"fps":5}}`) // it fell back
	f.connect(t)
	if got := f.mail.take(); len(got) != 1 || !strings.Contains(got[0], `"version":2`) {
		t.Errorf("a device that fell back is delivered %v", got)
	}
}

func TestWhoMaySetAConfiguration(t *testing.T) {
	t.Parallel()
	f := openTwin(t, device.Vehicle)
	zero, seven := int64(0), int64(7)
	labelled := caller.Caller{AccountID: "account_1", APIKeyID: "apikey_1", Role: caller.Operator, Scopes: caller.ScopesOf(caller.Operator), DeviceLabels: map[string]string{"site": "x"}}
	for name, c := range map[string]struct {
		ctx  context.Context
		in   twin.SetInput
		want error
	}{
		"nobody":           {t.Context(), twin.SetInput{DeviceID: f.id, Desired: "{}"}, errs.New(errs.Unauthenticated, "SIGN_IN_REQUIRED", "")},
		"a member":         {devicetest.As(t, caller.Member), twin.SetInput{DeviceID: f.id, Desired: "{}"}, errs.New(errs.PermissionDenied, "SCOPE_MISSING", "")},
		"a limited key":    {caller.NewContext(t.Context(), labelled), twin.SetInput{DeviceID: f.id, Desired: "{}"}, device.Missing(f.id)},
		"no object":        {devicetest.As(t, caller.Admin), twin.SetInput{DeviceID: f.id, Desired: "[]"}, errs.Invalid("", "")},
		"no JSON":          {devicetest.As(t, caller.Admin), twin.SetInput{DeviceID: f.id, Desired: "{"}, errs.Invalid("", "")},
		"too large":        {devicetest.As(t, caller.Admin), twin.SetInput{DeviceID: f.id, Desired: `{"a":"` + strings.Repeat("x", 63<<10) + `"}`}, errs.Invalid("", "")},
		"a stale version":  {devicetest.As(t, caller.Admin), twin.SetInput{DeviceID: f.id, Desired: "{}", ExpectedVersion: &seven}, errs.New(errs.Aborted, errs.ReasonVersionConflict, "")},
		"the last version": {devicetest.As(t, caller.Admin), twin.SetInput{DeviceID: f.id, Desired: "{}", ExpectedVersion: &zero}, nil},
	} {
		if _, err := f.Twins.Set(c.ctx, c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if found, err := f.Twins.BatchGet(devicetest.As(t, caller.Member), []string{f.id}); err != nil || len(found) != 0 {
		t.Errorf("a member sees %+v, %v", found, err)
	}
}

func TestAConfigurationIsHeldToTheSchemaOfItsKind(t *testing.T) {
	t.Parallel()
	f := openTwin(t, device.Camera)
	schema := `{"type":"object","properties":{"video":{"type":"object","properties":{"fps":{"type":"integer","minimum":1,"maximum":60}},"additionalProperties":false}},"required":["video"]}`
	if _, err := f.Twins.SetSchema(devicetest.As(t, caller.Operator), device.Camera, schema); !errors.Is(err, errs.New(errs.PermissionDenied, "SCOPE_MISSING", "")) {
		t.Errorf("an operator sets a schema: %v", err)
	}
	for _, kind := range []device.Kind{device.Camera, device.Sensor} { // the sensor's is not asked
		if _, err := f.Twins.SetSchema(devicetest.As(t, caller.Admin), kind, map[device.Kind]string{device.Camera: schema, device.Sensor: "false"}[kind]); err != nil {
			t.Fatal(err)
		}
	}
	before, err := f.Twins.Schemas(devicetest.As(t, caller.Admin))
	if err != nil {
		t.Fatal(err)
	}
	f.Clock.Advance(time.Minute)
	if again, err := f.Twins.SetSchema(devicetest.As(t, caller.Admin), device.Camera, schema); err != nil || again != before[0] {
		t.Errorf("the same schema again: %+v %v, want %+v", again, err, before[0])
	}
	for desired, path := range map[string]string{
		`{}`:                            "desired: ",
		`{"video":{"fps":0}}`:           "desired/video/fps: ",
		`{"video":{"fps":"a"}}`:         "desired/video/fps: ",
		`{"video":{"fps":1e300}}`:       "desired/video/fps: ",
		`{"video":{"a/b~":1}}`:          "desired/video: ",
		`{"video":{"fps":5}}`:           "",
		`{"video":{"fps":60},"more":1}`: "",
	} {
		_, err := f.Twins.Set(devicetest.As(t, caller.Operator), twin.SetInput{DeviceID: f.id, Desired: desired})
		if path == "" {
			if err != nil {
				t.Errorf("%s: %v", desired, err)
			}
			continue
		}
		if !errors.Is(err, errs.Invalid("", "")) || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%s: %v, want it to begin with %s", desired, err, path)
		}
	}
	if _, err := f.Twins.SetSchema(devicetest.As(t, caller.Admin), device.Camera, ""); err != nil {
		t.Fatal(err)
	}
	f.set(t, `{}`)
}

// A schema of a few lines can ask for more than can ever be compared: it is given up in time.
func TestNoSchemaTakesForEver(t *testing.T) {
	t.Parallel()
	f := openTwin(t, device.Camera)
	var twice strings.Builder
	for i := range 40 {
		fmt.Fprintf(&twice, `"x%d":{"allOf":[{"$ref":"#/$defs/x%d"},{"$ref":"#/$defs/x%d"}]},`, i+1, i, i)
	}
	deep, many := strings.Repeat(`{"a":`, 30)+"{}"+strings.Repeat("}", 30), "["+strings.Repeat("1,", 19_900)+"1]"
	enum := "[" + strings.Repeat(`"x",`, 10_000) + `"x"]`
	for name, c := range map[string]struct{ schema, desired string }{
		"references that double":            {`{"$defs":{` + twice.String() + `"x0":{"type":"integer"}},"additionalProperties":{"$ref":"#/$defs/x40"}}`, `{"a":"b"}`},
		"references that double, old":       {`{"$schema":"http://json-schema.org/draft-07/schema","$defs":{` + twice.String() + `"x0":{"type":"integer"}},"additionalProperties":{"$ref":"#/$defs/x40"}}`, `{"a":"b"}`},
		"one value under two names":         {`{"properties":{"a":{"$ref":"#"}},"patternProperties":{"a":{"$ref":"#"}}}`, deep},
		"one value under two names, denied": {`{"not":{"$ref":"#/$defs/x"},"$defs":{"x":{"minProperties":1,"properties":{"a":{"$ref":"#/$defs/x"}},"patternProperties":{"a":{"$ref":"#/$defs/x"}}}}}`, deep},
		"many values, each one of many":     {`{"properties":{"a":{"items":{"enum":` + enum + `}}}}`, `{"a":` + many + `}`},
	} {
		if _, err := f.Twins.SetSchema(devicetest.As(t, caller.Admin), device.Camera, c.schema); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err := f.Twins.Set(devicetest.As(t, caller.Operator), twin.SetInput{DeviceID: f.id, Desired: c.desired})
		if !errors.Is(err, errs.Invalid("", "")) || !strings.Contains(err.Error(), "too long") {
			t.Errorf("%s: %v", name, err)
		}
	}
	vast := devicetest.As(t, caller.Admin)
	if _, err := f.Twins.SetSchema(vast, device.Camera, `{"minimum":1e-00099999}`); !errors.Is(err, errs.Invalid("", "")) {
		t.Errorf("a schema with a vast number: %v", err)
	}
	if _, err := f.Twins.SetSchema(vast, device.Camera, `{"properties":{"a":{"maximum":1e9999}}}`); !errors.Is(err, errs.Invalid("", "")) {
		t.Errorf("a schema with a number that is too large: %v", err)
	}
	if _, err := f.Twins.Set(vast, twin.SetInput{DeviceID: f.id, Desired: `{"b":[1E+99999]}`}); !errors.Is(err, errs.Invalid("", "")) {
		t.Errorf("a vast number: %v", err)
	}
	recursive := `{"properties":{"b":{"$ref":"#"},"c":{"items":{"$ref":"#"}}},"additionalProperties":{"$ref":"#"}}`
	if _, err := f.Twins.SetSchema(devicetest.As(t, caller.Admin), device.Camera, recursive); err != nil {
		t.Fatal(err)
	}
	f.set(t, deep)
	f.set(t, `{"c":`+many+`}`)
}

func TestASchemaStandsAlone(t *testing.T) {
	t.Parallel()
	f := openTwin(t, device.Camera)
	for _, schema := range []string{
		`5`, `{"type":"nothing"}`, `{"$ref":"file:///etc/passwd"}`, `{"$ref":"http://127.0.0.1/x"}`, `{"pattern":"("}`, `{`,
		`{"$schema":"http://127.0.0.1/x"}`,
	} {
		if _, err := f.Twins.SetSchema(devicetest.As(t, caller.Admin), device.Camera, schema); !errors.Is(err, errs.Invalid("", "")) {
			t.Errorf("%s: %v", schema, err)
		}
	}
}
