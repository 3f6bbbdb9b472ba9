package graph_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/graph/pipeline"
)

// What does not answer is null and named; the rest is there.
func TestOverviewNamesAServiceThatIsDown(t *testing.T) {
	t.Parallel()
	for service, field := range map[string]string{
		"account": "", "device": "devices", "trip": "activeTrip", "job": "jobs", "activity": "recentActivities",
	} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			h := open(t)
			operator := h.signIn(t, "operator")
			h.get(t, operator, "{ viewer { scopes } }", nil)
			h.stop(t, service)
			overview := h.get(t, operator, `{ overview { asOf degraded devices { total } jobs { total } recentActivities { id } activeTrip { id } } }`,
				nil, "overview").(map[string]any)
			if got, want := fmt.Sprint(overview["degraded"]), fmt.Sprint([]string{map[string]string{
				"account": "ACCOUNT", "device": "DEVICE", "trip": "TRIP", "job": "JOB", "activity": "ACTIVITY",
			}[service]}); got != want {
				t.Errorf("degraded names %s, want %s", got, want)
			}
			for _, name := range []string{"devices", "jobs", "recentActivities"} {
				if (overview[name] == nil) != (name == field) {
					t.Errorf("%s is %v", name, overview[name])
				}
			}
			if overview["asOf"] != h.clock.Now().Format(time.RFC3339) {
				t.Errorf("as of %v", overview["asOf"])
			}
		})
	}
}

// brokenJobs stands for a fault of the program on the way to a service.
type brokenJobs struct{ bff.Jobs }

func (brokenJobs) CountJobs(context.Context) (*bff.JobCounts, error) { panic("a bug") }

// A panic costs the overview what it happened to, and nobody else anything.
func TestOverviewSurvivesAPanic(t *testing.T) {
	t.Parallel()
	h := open(t)
	operator := h.signIn(t, "operator")
	ports := h.ports()
	ports.Jobs = brokenJobs{ports.Jobs}
	h.Handler = h.gateway(ports, pipeline.Options{Logger: silent()}, time.Minute)
	a := h.ask(t, operator, `{ overview { jobs { total } devices { total } degraded } }`, nil)
	overview, _ := a.Data["overview"].(map[string]any)
	if overview["jobs"] != nil || overview["devices"] == nil || fmt.Sprint(overview["degraded"]) != "[JOB]" {
		t.Errorf("answered %s", a.text)
	}
	if len(a.Errors) != 1 || a.Errors[0].extension("code") != "INTERNAL" || fmt.Sprint(a.Errors[0].Path) != "[overview]" {
		t.Errorf("told %v", a.Errors)
	}
}

func TestOverviewCallsSelectedServicesOnly(t *testing.T) {
	t.Parallel()
	h := open(t)
	operator := h.signIn(t, "operator")
	h.get(t, operator, "{ viewer { scopes } }", nil)
	for query, want := range map[string]string{
		`{ overview { asOf } }`:                                           "map[]",
		`{ overview { n: devices { total } } }`:                           "map[device CountDevices:1]",
		`{ overview { ...o } } fragment o on Overview { jobs { total } }`: "map[job CountJobs:1]",
	} {
		h.calls.take()
		h.get(t, operator, query, nil)
		if got := fmt.Sprint(h.calls.take()); got != want {
			t.Errorf("%s makes the calls %s, want %s", query, got, want)
		}
	}
}

// Services that say no have answered: a member is told of no jobs, and nothing is degraded.
func TestDeniedPartOfOverviewIsNotDegraded(t *testing.T) {
	t.Parallel()
	h := open(t)
	degraded := h.get(t, h.signIn(t, "alice"), `{ overview { degraded } }`, nil, "overview", "degraded")
	if fmt.Sprint(degraded) != "[]" {
		t.Errorf("degraded names %v", degraded)
	}
}

// A service that is away nulls its own fields with an error that names it.
func TestListOfAServiceThatIsDownIsAnError(t *testing.T) {
	t.Parallel()
	h := open(t)
	made := h.oneOfEach(t)
	operator := h.signIn(t, "operator")
	h.stop(t, "device")
	a := h.ask(t, operator, `{ trips { totalCount nodes { id account { name } vehicle { id } } } devices { nodes { id } } }`, nil)
	trips := a.Data["trips"].(map[string]any)
	node := trips["nodes"].([]any)[0].(map[string]any)
	if node["id"] != made["Trip"] || node["account"] == nil || node["vehicle"] != nil || a.Data["devices"] != nil || trips["totalCount"] != 1.0 {
		t.Errorf("answered %s", a.text)
	}
	if len(a.Errors) != 2 {
		t.Errorf("answered %s", a.text)
	}
	for _, e := range a.Errors {
		if e.extension("code") != "UNAVAILABLE" || e.extension("service") != "DEVICE" || e.Extensions["retryable"] != true || e.Extensions["retryAfterMs"] == nil {
			t.Errorf("told %v", e)
		}
	}
}
