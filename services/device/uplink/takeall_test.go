package uplink_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/devicetest"
	"github.com/sluicehq/sluice/services/device/telemetry"
	"github.com/sluicehq/sluice/services/device/uplink"
)

// Bad messages among good ones harm nothing, and what comes twice is kept once.
func TestGoodMessagesAreTakenWhateverStandsBesideThem(t *testing.T) {
	t.Parallel()
	f := devicetest.Open(t)
	a, b := f.Register(t, device.Sensor), f.Register(t, device.Vehicle)
	at := f.Clock.Now()
	message := func(id string, topic device.UpTopic, payload string) device.UpMessage {
		return device.UpMessage{DeviceID: id, Topic: topic, Payload: []byte(payload), ArrivedAt: at}
	}
	batch := []device.UpMessage{
		message(a.ID, device.UpTelemetry, `{"t": 1}`),
		message(a.ID, device.UpTelemetry, `{"t": NaN}`),
		message(ids.New(ids.Device), device.UpTelemetry, `{"t": 1}`), // which was deleted
		message(b.ID, device.UpPosition, `{"latitude": 48, "longitude": 11}`),
		message(b.ID, device.UpPosition, `{"latitude": 148, "longitude": 11}`),
		message(b.ID, device.UpState, `{"firmware": "2"}`),
		message(b.ID, device.UpState, `[]`),
		message(b.ID, device.UpEvents, `{"type": "TILTED", "message": "fell over"}`),
		message(a.ID, device.UpTelemetry, `{"t": 2}`),
	}
	for range 2 {
		for i, outcome := range f.Uplink.HandleAll(t.Context(), batch) {
			if err := outcome.Err; err != nil {
				t.Errorf("message %d comes again: %v", i, err)
			}
		}
	}
	series, err := f.Store.Query(t.Context(), telemetry.Query{DeviceIDs: []string{a.ID}, Keys: []string{"t"}, From: at.Add(-time.Hour), To: at.Add(time.Hour)})
	if err != nil || len(series) != 1 || len(series[0].Points) != 2 {
		t.Errorf("kept %+v, %v", series, err)
	}
	got, err := f.Store.Get(t.Context(), []string{b.ID})
	if err != nil || got[0].Position == nil || got[0].Position.Latitude != 48 || got[0].Firmware != "2" || got[0].Version != 1 {
		t.Errorf("the vehicle is %+v, %v", got, err)
	}
	types := fmt.Sprint(typesOf(f.Events(t, a.ID)), typesOf(f.Events(t, b.ID)))
	if want := "map[MESSAGE_REFUSED:2 REGISTERED:1] map[MESSAGE_REFUSED:4 REGISTERED:1 REPORTED:2]"; types != want {
		t.Errorf("the events are %s, want %s", types, want)
	}
}

func typesOf(events []device.Event) map[device.EventType]int {
	n := map[device.EventType]int{}
	for _, e := range events {
		n[e.Type]++
	}
	return n
}

// A device that sends nothing but nonsense does not fill its event log.
func TestAFloodOfBadMessagesIsNotedNowAndThen(t *testing.T) {
	t.Parallel()
	f := devicetest.Open(t)
	d := f.Register(t, device.Sensor)
	flood := make([]device.UpMessage, 1000)
	for i := range flood {
		flood[i] = device.UpMessage{DeviceID: d.ID, Topic: device.UpTelemetry, Payload: []byte("nonsense"), ArrivedAt: f.Clock.Now()}
	}
	f.Uplink.HandleAll(t.Context(), flood)
	if n := typesOf(f.Events(t, d.ID))[uplink.Refused]; n != 60 {
		t.Errorf("%d notes within a minute", n)
	}
	f.Clock.Advance(time.Minute / 6)
	f.Uplink.HandleAll(t.Context(), flood[:1])
	if e := f.Events(t, d.ID)[0]; typesOf(f.Events(t, d.ID))[uplink.Refused] != 61 || !strings.Contains(e.Data, `"unnoted":940`) {
		t.Errorf("the next note is %+v", e)
	}
}
