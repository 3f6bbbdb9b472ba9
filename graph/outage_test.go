package graph_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/sluicehq/sluice/bff/guard"
	bffrpc "github.com/sluicehq/sluice/bff/rpc"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/loaders"
)

// mood is what ails a service.
type mood int32

const (
	well mood = iota
	slow
	failing
	flapping
	gone
)

// patient is a connection to a service that something ails.
type patient struct {
	grpc.ClientConnInterface
	service string
	takes   time.Duration // when slow
	mood    atomic.Int32
	calls   atomic.Int64
}

func (p *patient) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	ails := mood(p.mood.Load())
	if ails == flapping && p.calls.Add(1)%3 > 0 {
		ails = failing
	}
	switch ails {
	case slow:
		select {
		case <-time.After(p.takes):
		case <-ctx.Done():
			e := errs.From(ctx.Err())
			e.Service = p.service
			return e
		}
	case failing:
		e := errs.New(errs.Internal, errs.ReasonInternal, "broken").Because(errors.New("broken"))
		e.Service = p.service
		return e
	case gone:
		e := errs.New(errs.Unavailable, errs.ReasonServiceDown, "nobody there")
		e.Service = p.service
		return e
	}
	return p.ClientConnInterface.Invoke(ctx, method, request, reply, options...)
}

// times are those of an outage: short ones, with patience for a machine that has other things to do, or
// with SLUICE_TEST_OUTAGE=full those of the defaults.
type times struct{ request, call, open, slow, ill, whole time.Duration }

func timesOfOutage() times {
	if os.Getenv("SLUICE_TEST_OUTAGE") == "full" {
		return times{request: 10 * time.Second, call: 3 * time.Second, open: 5 * time.Second, slow: 5 * time.Second, ill: 20 * time.Second, whole: 10 * time.Second}
	}
	return times{request: 20 * time.Second, call: time.Second, open: 200 * time.Millisecond, slow: 5 * time.Second, ill: time.Second, whole: time.Minute}
}

// clinic is a gateway whose services can fall ill, one after another, and which works all the time.
type clinic struct {
	*environment
	patients map[string]*patient
	times    times
}

// openClinic is patient with all services but the one that falls ill: a busy machine makes none of them look ill too.
func openClinic(t *testing.T, ill string) *clinic {
	t.Helper()
	c := &clinic{environment: open(t), patients: map[string]*patient{}, times: timesOfOutage()}
	conn := func(service string) grpc.ClientConnInterface {
		c.patients[service] = &patient{ClientConnInterface: c.lines[service], service: service, takes: c.times.slow}
		call := c.times.request / 2
		if service == ill {
			call = c.times.call
		}
		return guard.Wrap(c.patients[service], guard.Options{
			Service: service, Timeout: call, Failures: 5, OpenFor: c.times.open, Wait: c.times.call / 10, Hedge: true, Logger: silent(),
		})
	}
	ports := loaders.Ports{
		Accounts: bffrpc.NewAccounts(conn("account")), Devices: bffrpc.NewDevices(conn("device")), Trips: bffrpc.NewTrips(conn("trip")),
		Jobs: bffrpc.NewJobs(conn("job")), Activities: bffrpc.NewActivities(conn("activity")),
	}
	c.environment.Handler = c.gateway(ports, pipeline.Options{Logger: silent()}, c.times.request)
	return c
}

// wards asks something of every service.
const wards = `{
	viewer { account { id } }
	devices(first: 2) { nodes { id } }
	trips(first: 2) { nodes { id } }
	jobs(first: 2) { nodes { id } }
	activities(first: 2) { nodes { id } }
	overview { degraded }
}`

// check wants an answer in time, with errors of none but the service that is ill; whole tells one without any.
func (c *clinic) check(t *testing.T, who, ill string) (whole bool) {
	t.Helper()
	started := time.Now()
	a := c.ask(t, who, wards, nil)
	if took := time.Since(started); took > c.times.request {
		t.Errorf("while %s is ill an answer took %s", ill, took)
	}
	for _, e := range a.Errors {
		if e.extension("service") != strings.ToUpper(ill) {
			t.Errorf("while %s is ill: %v", ill, e)
		}
	}
	for field, service := range map[string]string{"viewer": "", "devices": "device", "trips": "trip", "jobs": "job", "activities": "activity", "overview": ""} {
		if service != ill && a.Data[field] == nil {
			t.Errorf("while %s is ill there are no %s: %.300s", ill, field, a.text)
		}
	}
	overview, _ := a.Data["overview"].(map[string]any)
	degraded, _ := json.Marshal(overview["degraded"])
	return len(a.Errors) == 0 && string(degraded) == "[]"
}

// load keeps clients asking until the end, and gives how many answers there were.
func (c *clinic) load(t *testing.T, who, ill string, until <-chan struct{}) (answers *atomic.Int64, wait func()) {
	t.Helper()
	answers = &atomic.Int64{}
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-until:
					return
				default:
					c.check(t, who, ill)
					answers.Add(1)
				}
			}
		})
	}
	return answers, clients.Wait
}

// Whatever ails one service, every answer comes in time, the others' fields are there, and within ten
// seconds of its recovery (of a machine's own) the answer is whole again.
func TestOutages(t *testing.T) {
	t.Parallel()
	moods := map[string]mood{"slow": slow, "failing": failing, "flapping": flapping, "gone": gone}
	for _, service := range []string{"account", "device", "trip", "job", "activity"} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			c := openClinic(t, service)
			operator := c.signIn(t, "operator")
			if !c.check(t, operator, "nobody") {
				t.Fatal("the answer is not whole before anything happens")
			}
			for _, name := range slices.Sorted(maps.Keys(moods)) {
				c.fallsIll(t, operator, service, name, moods[name])
			}
		})
	}
}

// fallsIll has a service ill for a while, under load.
func (c *clinic) fallsIll(t *testing.T, who, service, name string, ails mood) {
	t.Helper()
	over := make(chan struct{})
	answers, wait := c.load(t, who, service, over)
	c.patients[service].mood.Store(int32(ails))
	missed := false
	for began := time.Now(); time.Since(began) < c.times.ill || !missed && time.Since(began) < 10*c.times.request; {
		missed = !c.check(t, who, service) || missed
	}
	if !missed {
		t.Errorf("%s is %s and nothing is missing", service, name)
	}
	c.patients[service].mood.Store(int32(well))
	recovered := time.Now()
	for !c.check(t, who, service) {
		if time.Since(recovered) > c.times.whole {
			t.Errorf("%s after %s was %s the answer is not whole", c.times.whole, service, name)
			break
		}
	}
	close(over)
	wait()
	t.Logf("%s was %s: %d answers, whole again after %s", service, name, answers.Load(), time.Since(recovered).Round(time.Millisecond))
}
