package live

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/gateway/gqlrequest"
	"github.com/sluicehq/sluice/internal/caller"
)

func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"type":"connection_init","payload":{"Authorization":"Bearer x"}}`, `{"id":"1","type":"subscribe","payload":{"query":"{ a }","variables":{"n":1e400},"extensions":{"after":"x"}}}`,
		`{"type":"start","id":"1","payload":{"query":null}}`, `{"type":"ping","payload":null}`, `[]`, `{"type":{}}`, "\x00", `{"id":"` + strings.Repeat("x", 200) + `","type":"complete"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, d := range dialects {
			m, err := d.decode(text)
			if err != nil {
				if len(err.Error()) > 200 {
					t.Errorf("an error of %d bytes", len(err.Error()))
				}
				continue
			}
			if m.kind == unknownMessage || len(m.id) > maxID {
				t.Errorf("%q was let through as %+v", text, m)
			}
			_, _ = credentialsOf(m.payload)
			if m.kind != subscribeMessage {
				continue
			}
			if params, err := operationPayload(gqlrequest.Usual(), m.payload); err == nil {
				_, _ = after(params)
				_ = textOf(params)
			}
		}
	})
}

func FuzzCursor(f *testing.F) {
	c, err := newCursors([]byte("secret"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("", uint32(0), uint64(0))
	f.Add(c.write(place{1, 2}), uint32(1), uint64(2))
	f.Add(strings.Repeat("A", 31), uint32(1<<31), uint64(1<<63))
	f.Fuzz(func(t *testing.T, text string, epoch uint32, sequence uint64) {
		want := place{epoch, sequence}
		cursor := c.write(want)
		if got, err := c.read(cursor); err != nil || got != want {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
		if got, err := c.read(text); err == nil && c.write(got) != text {
			t.Errorf("%q was taken for %+v", text, got)
		}
	})
}

func FuzzEventStreamRequest(f *testing.F) {
	f.Add("text/event-stream", "", "")
	f.Add("text/html, text/event-stream;q=0.9", "AQ", `{"after":7}`)
	f.Add(";;,", "\x00", `{`)
	f.Fuzz(func(t *testing.T, accept, last, after string) {
		r := httptest.NewRequest(http.MethodGet, "/graphql", nil)
		r.Header.Set("Accept", accept)
		r.Header.Set("Last-Event-ID", last)
		params := &graphql.RawParams{}
		if after != "" {
			params.Extensions = map[string]any{"after": after}
		}
		if IsEventStream(r) && !strings.Contains(strings.ToLower(accept), "text/event-stream") {
			t.Errorf("%q wants no event stream", accept)
		}
		if err := resumeFrom(params, r); err != nil {
			t.Error(err)
		}
	})
}

func TestCursorsAreOfTheirKey(t *testing.T) {
	t.Parallel()
	one, err := newCursors([]byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := newCursors([]byte("two"))
	if err != nil {
		t.Fatal(err)
	}
	cursor := one.write(place{7, 42})
	if len(cursor) > 40 {
		t.Errorf("a cursor of %d bytes", len(cursor))
	}
	if _, err := two.read(cursor); err == nil {
		t.Error("a cursor of another key was read")
	}
	for i := range cursor { // changing any letter is noticed
		changed := cursor[:i] + string(cursor[i]^1) + cursor[i+1:]
		if _, err := one.read(changed); err == nil {
			t.Errorf("%q was read", changed)
		}
	}
}

func TestASecretIsKept(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/deep/cursors.key"
	first, err := KeptSecret(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := KeptSecret(path); err != nil || string(again) != string(first) {
		t.Errorf("then it was %x, %v", again, err)
	}
}

func text(s string) *string { return &s }

// filters are all that can be named, each with an event that it selects and one that it does not.
var filters = map[string]struct {
	topic   bff.Topic
	yes, no bff.Node
}{
	"kind":        {ofActivity(bff.ActivityFilter{Kinds: []bff.ActivityKind{"NOTE", "JOB"}}), &bff.Activity{Kind: "NOTE"}, &bff.Activity{Kind: "TRIP"}},
	"source":      {ofActivity(bff.ActivityFilter{Sources: []string{"a", "b"}}), &bff.Activity{Source: "b"}, &bff.Activity{Source: "B"}},
	"telescope":   {ofActivity(bff.ActivityFilter{Telescope: text("Keck I")}), seen(bff.Observation{Telescope: text("KECK i")}), seen(bff.Observation{Telescope: text("Keck II")})},
	"instrument":  {ofActivity(bff.ActivityFilter{Instrument: text("HIRES")}), seen(bff.Observation{Instrument: text("hires")}), &bff.Activity{}},
	"programme":   {ofActivity(bff.ActivityFilter{Programme: text("p")}), seen(bff.Observation{Programme: text("P")}), seen(bff.Observation{})},
	"observer":    {ofActivity(bff.ActivityFilter{Observer: text("o"), Telescope: text("t")}), seen(bff.Observation{Observer: text("o"), Telescope: text("t")}), seen(bff.Observation{Observer: text("o")})},
	"device":      {ofActivity(bff.ActivityFilter{DeviceID: text("d")}), &bff.Activity{DeviceID: "d"}, &bff.Activity{}},
	"cone":        {ofActivity(bff.ActivityFilter{Cone: &bff.ConeInput{RightAscension: 359.5, Declination: 10, Radius: 1}}), at(0.4, 10), at(1.5, 10)},
	"wide cone":   {ofActivity(bff.ActivityFilter{Cone: &bff.ConeInput{RightAscension: 0, Declination: 85, Radius: 10}}), at(180, 86), at(180, 84)},
	"epoch":       {ofActivity(bff.ActivityFilter{Cone: &bff.ConeInput{RightAscension: 10, Declination: 10, Radius: 1}}), at(10, 10), &bff.Activity{Sky: &bff.SkyCoordinates{RightAscension: 10, Declination: 10, Epoch: "B1950"}}},
	"from":        {ofActivity(bff.ActivityFilter{StartedFrom: moment(5)}), &bff.Activity{StartedAt: *moment(5)}, &bff.Activity{StartedAt: *moment(4)}},
	"before":      {ofActivity(bff.ActivityFilter{StartedBefore: moment(5)}), &bff.Activity{StartedAt: *moment(4)}, &bff.Activity{StartedAt: *moment(5)}},
	"device kind": {ofDevice(bff.DeviceFilter{Kinds: []bff.DeviceKind{"CAMERA"}}), &bff.Device{Kind: "CAMERA"}, &bff.Device{Kind: "SENSOR"}},
	"presence":    {ofDevice(bff.DeviceFilter{Presences: []bff.Presence{"ONLINE"}}), &bff.Device{Presence: "ONLINE"}, &bff.Device{Presence: "UNKNOWN"}},
	"labels":      {ofDevice(bff.DeviceFilter{Labels: bff.JSON(`{"a":"1","b":"2"}`)}), &bff.Device{Labels: map[string]string{"c": "3", "b": "2", "a": "1"}}, &bff.Device{Labels: map[string]string{"a": "1"}}},
	"name":        {ofDevice(bff.DeviceFilter{NameContains: text("Bike")}), &bff.Device{Name: "my bike"}, &bff.Device{Name: "car"}},
	"trip":        {bff.Topic{Entity: bff.EntityTrip, TripID: "t"}, &bff.Trip{ID: "t"}, &bff.Trip{ID: "u"}},
	"command":     {bff.Topic{Entity: bff.EntityLogLine, Command: "c"}, &bff.LogLine{CommandID: "c"}, &bff.LogLine{CommandID: "d"}},
	"job":         {bff.Topic{Entity: bff.EntityJob, Job: &bff.JobFilter{Statuses: []bff.JobStatus{"FAILED"}, Kinds: []string{"log"}, DeviceID: text("d")}}, &bff.Job{Status: "FAILED", Kind: "log", DeviceID: "d"}, &bff.Job{Status: "FAILED", Kind: "log"}},
}

func ofActivity(f bff.ActivityFilter) bff.Topic {
	return bff.Topic{Entity: bff.EntityActivity, Activity: &f}
}

func ofDevice(f bff.DeviceFilter) bff.Topic { return bff.Topic{Entity: bff.EntityDevice, Device: &f} }

func seen(o bff.Observation) *bff.Activity { return &bff.Activity{Observation: &o} }

func at(rightAscension, declination float64) *bff.Activity {
	return &bff.Activity{Sky: &bff.SkyCoordinates{RightAscension: rightAscension, Declination: declination, Epoch: "J2000"}}
}

func moment(second int64) *time.Time {
	at := time.Unix(second, 0)
	return &at
}

func TestFiltersSelectAndTheIndexFindsThem(t *testing.T) {
	t.Parallel()
	staff := sightOf(caller.Caller{Role: caller.Operator})
	for name, c := range filters {
		f, err := newFilter(c.topic)
		if err != nil {
			t.Fatal(err)
		}
		x := newIndex()
		g := &group{filter: f, sight: staff}
		x.add(g)
		for node, want := range map[bff.Node]int{c.yes: 1, c.no: 0} {
			found := 0
			x.each(&event{Event: bff.Event{Entity: c.topic.Entity, Node: node}}, func(*group) { found++ })
			if found != want {
				t.Errorf("%s: %d groups for %+v, want %d", name, found, node, want)
			}
		}
		x.remove(g)
		x.all(func(*group) { t.Errorf("%s: a group is left", name) })
	}
}

// Each sight sees what the services would show its callers, and no more.
func TestSight(t *testing.T) {
	t.Parallel()
	member := caller.Caller{Role: caller.Member, AccountID: "a"}
	key := caller.Caller{Role: caller.Member, AccountID: "a", APIKeyID: "k"}
	staff := caller.Caller{Role: caller.Operator, AccountID: "s"}
	limited := caller.Caller{Role: caller.Operator, APIKeyID: "l", DeviceLabels: map[string]string{"site": "north"}}
	of := func(entity bff.Entity, owner string, node bff.Node) *event {
		return &event{Event: bff.Event{Entity: entity, Owner: owner, Node: node}}
	}
	for name, c := range map[string]struct {
		e    *event
		sees map[string]bool
	}{
		"everybody's activity":  {of(bff.EntityActivity, "", &bff.Activity{}), map[string]bool{"member": true, "key": true, "staff": true, "nobody": true}},
		"own activity":          {of(bff.EntityActivity, "a", &bff.Activity{}), map[string]bool{"member": true, "key": true, "staff": true}},
		"another's activity":    {of(bff.EntityActivity, "b", &bff.Activity{}), map[string]bool{"staff": true}},
		"own trip":              {of(bff.EntityTrip, "a", &bff.Trip{}), map[string]bool{"member": true, "key": true, "staff": true}},
		"another's trip":        {of(bff.EntityTrip, "b", &bff.Trip{}), map[string]bool{"staff": true}},
		"a vehicle":             {of(bff.EntityDevice, "", &bff.Device{Kind: "VEHICLE"}), map[string]bool{"member": true, "key": true, "staff": true, "nobody": true}},
		"a camera":              {of(bff.EntityDevice, "", &bff.Device{Kind: "CAMERA"}), map[string]bool{"staff": true}},
		"a camera in the north": {of(bff.EntityDevice, "", &bff.Device{Kind: "CAMERA", Labels: map[string]string{"site": "north"}}), map[string]bool{"staff": true, "limited": true}},
		"a camera in the south": {of(bff.EntityDevice, "", &bff.Device{Kind: "CAMERA", Labels: map[string]string{"site": "south"}}), map[string]bool{"staff": true}},
		"a job of the account":  {of(bff.EntityJob, "a", &bff.Job{}), map[string]bool{"member": true, "staff": true}},
		"a job of the key":      {of(bff.EntityJob, "k", &bff.Job{}), map[string]bool{"key": true, "staff": true}},
		"a line of a log":       {of(bff.EntityLogLine, "", &bff.LogLine{}), map[string]bool{"staff": true}},
		"an ended session":      {of(bff.EntitySession, "a", nil), map[string]bool{"staff": true}},
	} {
		for who, s := range map[string]caller.Caller{"member": member, "key": key, "staff": staff, "nobody": {}} {
			if got := sightOf(s).sees(c.e); got != c.sees[who] {
				t.Errorf("%s: %s: %v", name, who, got)
			}
		}
		if _, device := c.e.Node.(*bff.Device); device && sightOf(limited).sees(c.e) != c.sees["limited"] {
			t.Errorf("%s: limited: %v", name, !c.sees["limited"])
		}
	}
}

func TestOnlyEqualSightsShareAGroup(t *testing.T) {
	t.Parallel()
	different := map[string]caller.Caller{
		"alice":            {Role: caller.Member, AccountID: "a", Scopes: []string{"x", "y"}},
		"bob":              {Role: caller.Member, AccountID: "b", Scopes: []string{"x", "y"}},
		"fewer scopes":     {Role: caller.Member, AccountID: "a", Scopes: []string{"x"}},
		"a key of alice's": {Role: caller.Member, AccountID: "a", APIKeyID: "k", Scopes: []string{"x", "y"}},
		"an operator":      {Role: caller.Operator, AccountID: "a", Scopes: []string{"x", "y"}},
		"a limited key":    {Role: caller.Operator, DeviceLabels: map[string]string{"site": "north"}},
		"one elsewhere":    {Role: caller.Operator, DeviceLabels: map[string]string{"site": "south"}},
		"an admin":         {Role: caller.Admin, AccountID: "a", Scopes: []string{"x", "y"}},
	}
	keys := map[string]string{}
	for name, who := range different {
		k := sightOf(who).key()
		if other, taken := keys[k]; taken {
			t.Errorf("%s and %s share", name, other)
		}
		keys[k] = name
	}
	for name, pair := range map[string][2]caller.Caller{
		"scopes in another order": {{Role: caller.Member, AccountID: "a", Scopes: []string{"x", "y"}}, {Role: caller.Member, AccountID: "a", Scopes: []string{"y", "x"}}},
		"two sessions":            {{Role: caller.Member, AccountID: "a", SessionID: "1"}, {Role: caller.Member, AccountID: "a", SessionID: "2"}},
		"two operators":           {{Role: caller.Operator, AccountID: "a"}, {Role: caller.Operator, AccountID: "b"}},
	} {
		if sightOf(pair[0]).key() != sightOf(pair[1]).key() {
			t.Errorf("%s do not share", name)
		}
	}
}

// The cost of an event grows with the groups that it concerns, not with all that there are.
func TestTheIndexLooksAtFew(t *testing.T) {
	t.Parallel()
	x := newIndex()
	looked := 0
	for i := range 2000 {
		f, err := newFilter(ofActivity(bff.ActivityFilter{Telescope: text(fmt.Sprint("t", i)), Kinds: []bff.ActivityKind{"OBSERVATION"}}))
		if err != nil {
			t.Fatal(err)
		}
		f.tests = append(f.tests, func(bff.Node) bool { looked++; return true })
		x.add(&group{filter: f, sight: sightOf(caller.Caller{Role: caller.Operator})})
	}
	e := &event{Event: bff.Event{Entity: bff.EntityActivity, Node: &bff.Activity{Kind: "OBSERVATION", Observation: &bff.Observation{Telescope: text("T7")}}}}
	found := 0
	x.each(e, func(*group) { found++ })
	if found != 1 || looked != 1 {
		t.Errorf("%d found, %d looked at", found, looked)
	}
}

// What the writing relies on in gorilla/websocket: a server's frames are unmasked, and all that it
// writes by itself goes to the connection that it was given.
func TestFramesAreAsGorillaReadsThem(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 125, 126, 65535, 65536} {
		if got := len(textFrame(make([]byte, n))) - n; got != map[bool]int{true: 2, false: map[bool]int{true: 4, false: 10}[n <= 65535]}[n <= 125] {
			t.Errorf("a header of %d bytes for %d", got, n)
		}
	}
}
