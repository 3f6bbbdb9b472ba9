package outages

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
	"github.com/sluicehq/sluice/internal/testserver"
)

const recordNote = `mutation { recordActivity(input: {kind: NOTE, title: "Seen", public: true}) { id } }`

func TestWholeSiteStartsBeforeItsDatabaseAndBroker(t *testing.T) {
	t.Parallel()
	postgres, broker := testserver.StartPostgres(t), testserver.StartNATS(t)
	flags := []string{"--nats-url", broker.URL()}
	for _, service := range []string{"account", "device", "trip", "job", "activity"} {
		flags = append(flags, "--services-"+service+"-database", postgres.NewDatabase(t))
	}
	postgres.Stop()
	broker.Kill(t)
	in := harness.LaunchServices(t, flags...)
	in.Gateway = in.StartGateway(t, harness.ServiceToken)
	harness.RequireError(t, in.Gateway.Execute(t, "", `mutation { login(input: {provider: DEMO, code: "admin"}) { accessToken } }`, nil),
		"UNAVAILABLE", "SERVICE_UNAVAILABLE")
	status, body := in.Gateway.Get(t, "/readyz?verbose")
	for _, part := range []string{"account", "events"} {
		if status != 200 || !strings.Contains(body, `"`+part+`"`) {
			t.Errorf("/readyz?verbose: %d %s, want ready and %s as a shared part that is down", status, body, part)
		}
	}

	postgres.Restart(t)
	for _, service := range in.Services {
		service.AwaitReady(t)
	}
	admin := awaitSignIn(t, in.Gateway)
	listening := in.Gateway.Dial(t, nil)
	if message := subscribe(t, listening, admin); !strings.Contains(message, `"EVENTS_UNAVAILABLE"`) {
		t.Errorf("a subscription without a broker: got %s", message)
	}
	harness.Eventually(t, harness.Timeout, "the gateway has connected to the activity service", func() bool {
		return len(in.Gateway.Execute(t, admin, recordNote, nil).Errors) == 0 // the event waits in the outbox
	})

	broker.Start(t)
	harness.Eventually(t, harness.Timeout, "the subscription starts", func() bool {
		conn := in.Gateway.Dial(t, nil)
		if message := subscribe(t, conn, admin); strings.Contains(message, `"EVENTS_UNAVAILABLE"`) {
			return false
		}
		return true
	})
}

func TestPostgresAwayIsRetryableAndHealsByItself(t *testing.T) {
	t.Parallel()
	postgres := testserver.StartPostgres(t)
	p := harness.Start(t, harness.DemoArgs(t.TempDir(), "--services-activity-database", postgres.NewDatabase(t), "--breaker-open-duration", "200ms")...)
	operator := p.SignIn(t, "operator")
	harness.Query[any](t, p, operator, recordNote, nil)

	postgres.Stop()
	for _, document := range []string{recordNote, `{ activities(first: 1) { totalCount } }`} {
		e := harness.RequireError(t, p.Execute(t, operator, document, nil), "UNAVAILABLE", "DATABASE_UNAVAILABLE")
		if !e.Extensions.Retryable || e.Extensions.RetryAfterMs <= 0 {
			t.Errorf("%s: extensions are %+v, want retryable with a delay", document, e.Extensions)
		}
	}
	if status, body := p.Get(t, "/readyz?verbose"); status != 200 || !strings.Contains(body, `"down":["activity"]`) {
		t.Errorf("/readyz?verbose: %d %s, want ready with the activity database as a shared part that is down", status, body)
	}
	harness.Query[any](t, p, operator, `{ trips(first: 1) { totalCount } devices(first: 1) { totalCount } }`, nil)

	postgres.Restart(t)
	harness.Eventually(t, harness.Timeout, "writes succeed again", func() bool {
		return len(p.Execute(t, operator, recordNote, nil).Errors) == 0
	})
}
