package uplink_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/devicetest"
)

// A device that floods readings, or events, ends at its quota. Its note says so, and other devices notice nothing.
func TestFloodOfADeviceEndsAtItsQuota(t *testing.T) {
	t.Parallel()
	const limit = 300_000
	for topic, payload := range map[device.UpTopic]func(i int) string{
		device.UpTelemetry: func(i int) string {
			values := make([]string, 500)
			for k := range values {
				values[k] = fmt.Sprintf(`"key %d %d": 1`, i, k)
			}
			return "{" + strings.Join(values, ",") + "}"
		},
		device.UpEvents: func(i int) string {
			return fmt.Sprintf(`{"type": "T%d", "message": "m", "data": {"d": "%s"}}`, i, strings.Repeat("x", 50_000))
		},
	} {
		t.Run(string(topic), func(t *testing.T) {
			t.Parallel()
			f := devicetest.Open(t)
			f.DB.LimitStorage(sqldb.StorageLimits{Device: limit})
			flooder, other := f.Register(t, device.Sensor), f.Register(t, device.Sensor)
			refused := 0
			for i := range 30 {
				f.Clock.Advance(time.Second)
				at := f.Clock.Now()
				outcomes := f.Uplink.HandleAll(t.Context(), []device.UpMessage{
					{DeviceID: flooder.ID, Topic: topic, Payload: []byte(payload(i)), ArrivedAt: at},
					{DeviceID: other.ID, Topic: device.UpTelemetry, Payload: []byte(`{"t": 1}`), ArrivedAt: at},
				})
				if outcomes[0].Refused != nil {
					refused++
					if outcomes[0].Err != nil || outcomes[0].Refused.Reason != "STORAGE_QUOTA_EXHAUSTED" {
						t.Fatalf("message %d: %+v", i, outcomes[0])
					}
				}
				if o := outcomes[1]; o.Err != nil || o.Refused != nil {
					t.Fatalf("of the other device: %+v", o)
				}
			}
			all, err := f.DB.Storage(t.Context(), []string{flooder.ID, other.ID})
			if used := all[flooder.ID].Used; err != nil || refused == 0 || used > limit+20_000 || used < limit/2 {
				t.Errorf("%d messages were refused, and %d bytes of %d are used, %v", refused, used, limit, err)
			}
			if all[other.ID].Used < 30*150 {
				t.Errorf("the other device has %d bytes", all[other.ID].Used)
			}
			if types := typesOf(f.Events(t, flooder.ID)); types["MESSAGE_REFUSED"] == 0 {
				t.Errorf("no refusal is noted: %v", types)
			}
		})
	}
}
