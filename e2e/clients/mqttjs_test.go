package clients

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

// The public MQTT.js does the same.
func TestMQTTJSClientSendsMessages(t *testing.T) {
	t.Parallel()
	folder := installClients(t)
	p := harness.Start(t, harness.DemoArgs(t.TempDir())...)
	token := p.SignIn(t, "admin")
	d := p.RegisterDevice(t, token, "SENSOR")
	host, port, _ := strings.Cut(p.MQTTAddr(t), ":")
	ctx, cancel := context.WithTimeout(t.Context(), clientsTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "--test", "--test-timeout=60000", "mqtt.mjs")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "SLUICE_URL="+p.URL+"/graphql", "SLUICE_TOKEN="+token,
		"MQTT_HOST="+host, "MQTT_PORT="+port, "ID="+d.ID, "SECRET="+d.Secret)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
