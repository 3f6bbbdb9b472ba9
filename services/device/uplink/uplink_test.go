package uplink_test

import (
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
	for _, m := range []device.UpMessage{
		{DeviceID: d.ID, Topic: "weather"},
		{DeviceID: d.ID, Topic: device.UpTelemetry, Payload: make([]byte, 64<<10+1)},
	} {
		if err := f.Uplink.Take(t.Context(), m); err != nil {
			t.Fatalf("%s comes again: %v", m.Topic, err)
		}
		e := f.Events(t, d.ID)[0]
		if e.Type != uplink.Refused || e.Actor != d.ID || !strings.Contains(e.Data, `"topic":"`+string(m.Topic)+`"`) || !strings.Contains(e.Data, `"reason":"INVALID_FIELD"`) {
			t.Errorf("%s is noted as %+v", m.Topic, e)
		}
	}
	if err := f.Uplink.Take(t.Context(), device.UpMessage{DeviceID: ids.New(ids.Device), Topic: "weather"}); err != nil {
		t.Errorf("a message of a device that is not there comes again: %v", err)
	}
}
