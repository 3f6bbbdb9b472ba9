package devices

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
)

// fix is a place of a recorded drive.
type fix struct {
	latitude, longitude float64
	at                  time.Time
}

// munichDrive reads the recorded drive, in order of time.
func munichDrive(t *testing.T) []fix {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "trips", "munich-drive-15s.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct{ Point, Time string }
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	drive := make([]fix, len(rows))
	for i, row := range rows {
		if _, err := fmt.Sscanf(row.Point, "POINT(%g %g)", &drive[i].longitude, &drive[i].latitude); err != nil {
			t.Fatal(err)
		}
		if drive[i].at, err = time.Parse("2006-01-02 15:04:05-0700", row.Time); err != nil {
			t.Fatal(err)
		}
	}
	return drive
}

// asPhonesSend is the drive as a phone without a network for a while sends it: every third fix comes
// eight later, and every fifth comes twice.
func asPhonesSend(drive []fix) []fix {
	type sent struct {
		fix
		turn int
	}
	var all []sent
	for i, f := range drive {
		turn := i
		if i%3 == 0 {
			turn += 8
		}
		all = append(all, sent{f, turn})
		if i%5 == 0 {
			all = append(all, sent{f, turn + 1})
		}
	}
	slices.SortStableFunc(all, func(a, b sent) int { return a.turn - b.turn })
	messages := make([]fix, len(all))
	for i, s := range all {
		messages[i] = s.fix
	}
	return messages
}

// A phone's location messages, late ones and repeated ones among them, leave the device where the
// drive ended, and none is refused.
func TestOwnTracksDriveWithLateFixesEndsAtItsLastFix(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, harness.DemoArgs(t.TempDir())...)
	admin := p.SignIn(t, "admin")
	d := p.RegisterDevice(t, admin, "VEHICLE")
	client, _, err := d.Connect(t, p.MQTTAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	drive := munichDrive(t)
	messages := asPhonesSend(drive)
	if slices.IsSortedFunc(messages, func(a, b fix) int { return a.at.Compare(b.at) }) || len(messages) == len(drive) {
		t.Fatal("nothing is late, or nothing comes twice")
	}
	for _, m := range messages {
		payload := fmt.Sprintf(`{"_type":"location","tid":"ph","lat":%v,"lon":%v,"tst":%d,"acc":12,"batt":87}`, m.latitude, m.longitude, m.at.Unix())
		if token := client.Publish("devices/"+d.ID+"/position", 1, false, payload); !token.WaitTimeout(harness.Timeout) || token.Error() != nil {
			t.Fatalf("publish: %v", token.Error())
		}
	}
	end := drive[len(drive)-1]
	there := func(s shown) bool {
		return s.Position != nil && s.Position.Latitude == end.latitude && s.Position.Longitude == end.longitude
	}
	awaitDevice(t, p, admin, d.ID, "the end of the drive", there)
	token := client.Publish("devices/"+d.ID+"/state", 1, false, `{"firmware": "after the drive"}`)
	if !token.WaitTimeout(harness.Timeout) || token.Error() != nil {
		t.Fatalf("publish: %v", token.Error())
	}
	last := awaitDevice(t, p, admin, d.ID, "what was sent last", func(s shown) bool { return s.Firmware != "" })
	if !there(last) {
		t.Errorf("what came late moved it to %+v", last.Position)
	}
	for _, event := range last.Events.Nodes {
		if event.Type == "MESSAGE_REFUSED" {
			t.Errorf("it refused a message: %s", event.Message)
		}
	}
}
