package security

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
	"github.com/sluicehq/sluice/internal/ids"
)

// Whoever follows what is another's hears exactly what it would hear of what there is not: the same
// frames, the same end, over WebSocket and as an event stream, also while it changes.
func TestForeignEntitiesLookAbsentToSubscriptions(t *testing.T) {
	t.Parallel()
	p := harness.Start(t, harness.DemoArgs(t.TempDir())...)
	admin, bob := p.SignIn(t, "admin"), p.SignIn(t, "bob")
	for _, who := range strangers(t, p, admin) {
		foreign := foreignEntities(t, p, admin, bob)
		for i, probe := range heardOf() {
			if !slices.Contains(who.blindTo, probe.kind) {
				continue
			}
			t.Run(who.name+"/"+probe.document, func(t *testing.T) {
				goesOn := func() { changeForeignEntities(t, p, admin, bob, foreign, 10*i+1) }
				theirs := subscriptionTranscript(t, p, who.credential, probe.document, foreign[probe.kind], goesOn)
				nothing := subscriptionTranscript(t, p, who.credential, probe.document, ids.New(probe.kind), goesOn)
				if theirs != nothing {
					t.Errorf("of what is another's is heard\n%s\nand of what there is not\n%s", theirs, nothing)
				}
			})
		}
	}
}

// goesOn has something happen to all that is another's.
func changeForeignEntities(t *testing.T, p *harness.Program, admin, bob string, foreign map[ids.Kind]string, seed int) {
	t.Helper()
	const move = `mutation($id: ID!, $n: Float!) { reportPosition(tripId: $id, position: {latitude: $n, longitude: 1}) { id } }`
	harness.Query[any](t, p, bob, move, harness.Vars{"id": foreign[ids.Trip], "n": 1 + float64(seed)/10_000})
	harness.Query[any](t, p, bob, `mutation { recordActivity(input: {kind: NOTE, title: "bob's"}) { id } }`, nil)
	harness.Query[any](t, p, admin, `mutation($job: ID!, $device: ID!, $name: String!) {
		updateJob(input: {id: $job, name: $name}) { id }
		updateDevice(input: {id: $device, name: $name}) { id }
		recordActivity(input: {kind: NOTE, title: "of the device", deviceId: $device}) { id }
	}`, harness.Vars{"job": foreign[ids.Job], "device": foreign[ids.Device], "name": fmt.Sprint("name ", time.Now().UnixNano())})
}

// overheard is all that is heard of the id, over both ways, while something happens.
func subscriptionTranscript(t *testing.T, p *harness.Program, credential, document, id string, goesOn func()) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Timeout)
	defer cancel()
	stream := streamProbe(ctx, t, p, credential, document, id)
	l := p.Listen(t, credential, document, id)
	hears := l.ReadUntilPong(t)
	goesOn()
	if hears {
		title := "all hear " + id
		harness.Query[any](t, p, p.SignIn(t, "admin"), `mutation($t: String!) { recordActivity(input: {kind: NOTE, title: $t, public: true}) { id } }`, harness.Vars{"t": title})
		l.ReadUntilNote(t, title) // events come in order: whatever came before it was heard
	}
	l.Send(t, `{"id":"1","type":"complete"}`)
	l.Send(t, `{"type":"ping"}`)
	l.ReadUntilPong(t)
	l.Send(t, `{"id":"1","type":"complete"}{`) // which ends the connection
	cancel()
	whole := strings.Join(l.Received, "\n") + "\n" + harness.ReadUntilClosed(l.Conn).Error() + "\n" + <-stream
	return passing.ReplaceAllString(strings.ReplaceAll(whole, id, "ID"), "…")
}

// streamed follows the probe as an event stream, and gives what came, without heartbeats, when ctx ends.
func streamProbe(ctx context.Context, t *testing.T, p *harness.Program, credential, document, id string) <-chan string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": document, "variables": harness.Vars{"id": id}})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"text/event-stream"}}
	if strings.HasPrefix(credential, "sluice_") {
		request.Header.Set("X-API-Key", credential)
	} else if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Request-Id", "Date"} {
		response.Header.Del(name)
	}
	came := make(chan string, 1)
	go func() {
		defer func() { _ = response.Body.Close() }()
		var text bytes.Buffer
		fmt.Fprintln(&text, response.Status)
		_ = response.Header.Write(&text) // a buffer takes everything
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if line := lines.Text(); line != "" && !strings.HasPrefix(line, ":") {
				fmt.Fprintln(&text, line)
			}
		}
		came <- text.String()
	}()
	return came
}
