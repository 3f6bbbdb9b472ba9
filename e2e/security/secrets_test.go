package security

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
)

// Secrets that went in are in no answer, no event, no log line and no file afterwards, except sealed.
func TestNoSecretIsInAnswersEventsLogsAndFiles(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{
		"the path of a webhook": "p4th-0f-the-webhook", "a header of a webhook": "t0ken-0f-the-webhook", "an argument of a command": "p4ssword-of-the-lamp",
	}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "you sent %s with %v", r.URL, r.Header) // an echo
	}))
	defer receiver.Close()
	data := t.TempDir()
	key := harness.CreateAPIKey(t, data, "ADMIN", "job:read", "job:write", "device:read", "device:write", "device:command", "apikey:write")
	p := harness.Start(t, "serve", "--addr", "127.0.0.1:0", "--data", data, "--job-webhook-allow-private", "--log-level", "debug")
	events := p.Listen(t, key, `subscription { jobChanged { id payload result error } }`, "s")
	var answers strings.Builder
	execute := func(document string, variables harness.Vars) harness.Response {
		t.Helper()
		a := p.Execute(t, key, document, variables)
		fmt.Fprintf(&answers, "%s %v\n", a.Data, a.Errors)
		return a
	}

	shownOnce := harness.Query[struct {
		CreateAPIKey   struct{ Secret string }
		RegisterDevice struct {
			Device struct{ ID string }
			Secret string
		}
	}](t, p, key, `mutation {
		createApiKey(input: {name: "child", scopes: ["job:read"], idempotencyKey: "k"}) { secret }
		registerDevice(input: {name: "lamp", kind: SENSOR, idempotencyKey: "d"}) { device { id } secret }
	}`, nil)
	secrets["an API key"], secrets["a device's secret"] = shownOnce.CreateAPIKey.Secret, shownOnce.RegisterDevice.Secret

	create := harness.Vars{"input": harness.Vars{"name": "hook", "kind": "webhook", "idempotencyKey": "j", "payload": harness.Vars{
		"url":     receiver.URL + "/hook/" + secrets["the path of a webhook"],
		"headers": harness.Vars{"Authorization": "Bearer " + secrets["a header of a webhook"]},
	}}}
	for range 2 {
		execute(`mutation($input: CreateJobInput!) { createJob(input: $input) { id payload } }`, create)
	}
	send := harness.Vars{"input": harness.Vars{
		"deviceId": shownOnce.RegisterDevice.Device.ID, "name": "join", "idempotencyKey": "c",
		"queueUntil": time.Now().Add(time.Hour).Format(time.RFC3339), "arguments": harness.Vars{"password": secrets["an argument of a command"]},
	}}
	execute(`mutation($input: SendCommandInput!) { sendCommand(input: $input) { id } }`, send)
	harness.Eventually(t, 20*time.Second, "the webhook is delivered", func() bool {
		a := execute(`{ jobs { nodes { status payload result error runs { nodes { status result error } } } } apiKeys { name prefix } }`, nil)
		return strings.Contains(string(a.Data), "SUCCEEDED")
	})
	if !strings.Contains(answers.String(), "you sent") {
		t.Error("the receiver's answer is not in the result: the test shows nothing")
	}
	for frame := ""; !strings.Contains(frame, "SUCCEEDED") && !strings.Contains(frame, "you sent"); {
		frame = events.Next(t)
		fmt.Fprintln(&answers, frame)
	}
	p.StopCleanly(t)

	places := filesOf(t, data)
	places["the answers"], places["stdout"], places["stderr"] = []byte(answers.String()), []byte(p.Stdout.String()), []byte(p.Stderr.String())
	for place, content := range places {
		for what, secret := range secrets {
			if len(secret) < 10 || bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s (%d bytes) is in %s", what, len(secret), place)
			}
		}
	}
}

// filesOf returns the content of all files in the folder.
func filesOf(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 5 {
		t.Errorf("only %d files were searched", len(files))
	}
	return files
}
