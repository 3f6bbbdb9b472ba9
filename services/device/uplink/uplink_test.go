package uplink_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/devicetest"
	"github.com/sluicehq/sluice/services/device/uplink"
)

func TestWhatNobodyTakesIsNotedWithTheReason(t *testing.T) {
	t.Parallel()
	f := devicetest.Open(t)
	d := f.Register(t, device.Sensor)
	for _, c := range []struct {
		m      device.UpMessage
		reason string
	}{
		{device.UpMessage{DeviceID: d.ID, Topic: "weather"}, uplink.ReasonUnknownTopic},
		{device.UpMessage{DeviceID: d.ID, Topic: "devices/device_other/telemetry", Foreign: true}, uplink.ReasonForeignTopic},
		{device.UpMessage{DeviceID: d.ID, Topic: device.UpTelemetry, Payload: make([]byte, 64<<10+1)}, "INVALID_FIELD"},
	} {
		m := c.m
		if err := f.Uplink.Handle(t.Context(), m); err != nil {
			t.Fatalf("%s comes again: %v", m.Topic, err)
		}
		e := f.Events(t, d.ID)[0]
		if e.Type != uplink.Refused || e.Actor != d.ID || !strings.Contains(e.Data, `"topic":"`+string(m.Topic)+`"`) || !strings.Contains(e.Data, fmt.Sprintf(`"reason":%q`, c.reason)) {
			t.Errorf("%s is noted as %+v", m.Topic, e)
		}
	}
	if err := f.Uplink.Handle(t.Context(), device.UpMessage{DeviceID: ids.New(ids.Device), Topic: "weather"}); err != nil {
		t.Errorf("a message of a device that is not there comes again: %v", err)
	}
}

// What a device sends as JSON has the limits of a request, on every topic that stores it as it is: clients must be able
// to read it.
func TestPayloadsBeyondTheLimitsOfRequestsAreRefused(t *testing.T) {
	t.Parallel()
	f := devicetest.Open(t)
	d := f.Register(t, device.Sensor)
	id := ids.New(ids.Command)
	deep := strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000)
	for what, value := range map[string]string{"nests deeper": deep, "has a number": "1e999999999", "not one of 64 bits": "-1e400", "is not UTF-8": "\"\xff\""} {
		for topic, form := range map[device.UpTopic]string{
			device.UpState:          `{"cpu": %s}`,
			device.UpEvents:         `{"type": "X", "data": {"a": %s}}`,
			device.UpConfigReported: `{"version": 0, "reported": {"fps": %s}}`,
			device.UpCommandResult:  `{"id": "` + id + `", "ok": true, "result": %s}`,
		} {
			m := device.UpMessage{DeviceID: d.ID, Topic: topic, Payload: fmt.Appendf(nil, form, value), ArrivedAt: f.Clock.Now()}
			outcome := f.Uplink.HandleAll(t.Context(), []device.UpMessage{m})[0]
			if outcome.Refused == nil || !strings.Contains(outcome.Refused.Message, what) {
				t.Errorf("%s with %.20s has the outcome %+v, want a refusal with %q", topic, value, outcome, what)
			}
			if e := f.Events(t, d.ID)[0]; e.Type != uplink.Refused || !strings.Contains(e.Message, what) {
				t.Errorf("%s with %.20s is noted as %+v", topic, value, e)
			}
		}
	}
}
