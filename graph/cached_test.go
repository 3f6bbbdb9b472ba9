package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/bff/cache"
	"github.com/sluicehq/sluice/bff/persisted"
	"github.com/sluicehq/sluice/graph/pipeline"
	"github.com/sluicehq/sluice/internal/author"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/loaders"
)

// cached keeps what the ports answer.
func (h *environment) cached(t testing.TB, ports loaders.Ports) (loaders.Ports, bff.Responses, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	c := cache.New(cache.Options{Memory: 64 << 20, MaxEntry: 1 << 20, Clock: h.clock, Logger: silent(), Registry: registry})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return loaders.Ports{
		Accounts: c.Accounts(ports.Accounts), Devices: c.Devices(ports.Devices), Trips: c.Trips(ports.Trips),
		Jobs: c.Jobs(ports.Jobs), Activities: c.Activities(ports.Activities),
	}, c.Responses(), registry
}

// wholeAnswers is how many answers were given as they were kept.
func wholeAnswers(t testing.TB, registry *prometheus.Registry) (n float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := fmt.Sprint(m.GetLabel())
			if strings.Contains(labels, `"Responses"`) && strings.Contains(labels, `"memory"`) {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}

// documentRegistry returns persisted documents that any client registers.
func documentRegistry(t testing.TB) *persisted.Documents {
	t.Helper()
	memory, err := persisted.NewMemory(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	return persisted.New(persisted.Options{Persisted: memory, ByAnyone: true})
}

// A gateway that keeps what services answer, and to which writes come all the time, answers as one
// that asks them each time: whoever asks, and for whatever.
func TestCachedAnswersAreTheServicesAnswers(t *testing.T) {
	t.Parallel()
	h, callers := demo(t)
	callers = append(callers, who{
		name: "a limited key", header: "X-API-Key", scopes: []string{caller.DeviceRead, caller.JobRead},
		secret: h.text(t, h.signIn(t, "admin"), `mutation { createApiKey(input: {name: "k", scopes: ["device:read", "job:read"], deviceLabels: {site: "north"}}) { secret } }`,
			nil, "createApiKey", "secret"),
	})
	asking := h.gateway(h.ports(), pipeline.Options{Admission: charging(plenty{}), Logger: silent(), Persisted: documentRegistry(t)}, 2*time.Minute)
	ports, responses, registry := h.cached(t, h.ports())
	caching := h.gateway(ports, pipeline.Options{Admission: charging(plenty{}), Logger: silent(), Persisted: documentRegistry(t), Responses: responses}, 2*time.Minute)
	dice := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	writer := &writer{environment: h, gateway: caching, dice: dice}
	seen, authors := make([]*known, len(callers)), make([]*author.Author, len(callers))
	for i, c := range callers {
		seen[i] = look(t, h, c)
		authors[i] = documents(seen[i], c.scopes, dice.Uint64())
	}
	for writer.written < 3 {
		writer.write(t, callers[0], seen[0])
	}
	saved, answered := 0, 0
	for n := range author.Count(400, 10_000) {
		c := n % len(callers)
		if dice.IntN(4) == 0 {
			writer.write(t, callers[dice.IntN(4)], seen[0])
		}
		query, variables := authors[c].Document()
		asked := map[string]any{"query": query, "variables": variables}
		if n%2 == 0 {
			asked["extensions"] = map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": persisted.Hash(query)}}
		}
		body, err := json.Marshal(asked)
		if err != nil {
			t.Fatal(err)
		}
		h.calls.take()
		want := tell(t, through(t, asking, t.Context(), callers[c], body))
		calls := total(h.calls.take())
		for time := range 2 {
			got := tell(t, through(t, caching, t.Context(), callers[c], body))
			if what := want.differs(got); what != "" {
				t.Fatalf("%s, time %d: the %s differ\n%s\n%v\nwant %.3000s\ngot  %.3000s", callers[c].name, time, what, query, variables, fmt.Sprint(want), fmt.Sprint(got))
			}
		}
		answered += 2 * calls
		saved += 2*calls - total(h.calls.take())
	}
	whole := wholeAnswers(t, registry)
	t.Logf("of %d calls %d were saved; %d writes; %v whole answers", answered, saved, writer.written, whole)
	if saved < answered/5 {
		t.Error("next to nothing was kept: this proves nothing")
	}
}

func total(calls map[string]int) (n int) {
	for _, times := range calls {
		n += times
	}
	return n
}

// writer makes mutations at random.
type writer struct {
	environment *environment
	gateway     http.Handler
	dice        *rand.Rand
	written     int
}

// write makes one mutation, which may be refused, or lets time pass.
func (w *writer) write(t testing.TB, by who, seen *known) {
	t.Helper()
	some := func(all []string) string {
		if len(all) == 0 {
			return ""
		}
		return all[w.dice.IntN(len(all))]
	}
	documents := []string{
		`mutation($d: ID!) { updateDevice(input: {id: $d, name: "renamed %d"}) { id } }`,
		`mutation($d: ID!) { updateDevice(input: {id: $d, labels: {site: "north"}}) { id } }`,
		`mutation($d: ID!) { updateDevice(input: {id: $d, labels: {n: "%d"}}) { id } }`,
		`mutation($d: ID!) { createJob(input: {name: "j %d", kind: "log", payload: {message: "x"}, deviceId: $d, runAt: "2030-01-01T00:00:00Z"}) { id } }`,
		`mutation($j: ID!) { updateJob(input: {id: $j, name: "renamed %d"}) { id } }`,
		`mutation($j: ID!) { cancelJob(id: $j) { id } }`,
		`mutation($d: ID!) { startTrip(input: {vehicleId: $d, position: {latitude: 1, longitude: 2}}) { id } }`,
		`mutation($t: ID!) { reportPosition(tripId: $t, position: {latitude: 1, longitude: 2.0%d}) { id } }`,
		`mutation($t: ID!) { endTrip(tripId: $t) { id } }`,
		`mutation { recordWater(input: {amountMl: 1%d}) { id } }`,
		`mutation($d: ID!) { recordActivity(input: {kind: NOTE, title: "n %d", deviceId: $d}) { id } }`,
		`mutation($a: ID!) { updateActivity(input: {id: $a, title: "corrected %d"}) { id } }`,
		`mutation($a: ID!) { updateActivity(input: {id: $a, amount: 1%d}) { id } }`,
		`mutation($a: ID!) { deleteActivity(id: $a) }`,
	}
	choice := w.dice.IntN(len(documents) + 1)
	if choice == len(documents) {
		w.environment.clock.Advance(time.Minute + time.Second) // longer than anything is kept
		return
	}
	document := documents[choice]
	if strings.Contains(document, "%d") {
		document = fmt.Sprintf(document, w.dice.IntN(1000))
	}
	body, err := json.Marshal(map[string]any{"query": document, "variables": map[string]any{
		"d": some(seen.ids["device"]), "j": some(seen.ids["job"]), "t": some(seen.ids["trip"]), "a": some(seen.ids["activity"]),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if answer := tell(t, through(t, w.gateway, t.Context(), by, body)); len(answer.errors) == 0 {
		w.written++
	}
}

// reads are the methods whose answers are kept, over all that there is.
func reads(seen *known, accounts []string) map[string]func(ctx context.Context, p loaders.Ports) (any, error) {
	page := bff.PageRequest{First: 5, WithTotal: true}
	report := bff.HydrationQuery{From: time.Unix(0, 0), To: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), TimeZone: "UTC"}
	return map[string]func(ctx context.Context, p loaders.Ports) (any, error){
		"GetAccounts": func(ctx context.Context, p loaders.Ports) (any, error) { return p.Accounts.GetAccounts(ctx, accounts) },
		"GetDevices": func(ctx context.Context, p loaders.Ports) (any, error) {
			return p.Devices.GetDevices(ctx, seen.ids["device"])
		},
		"ListDevices": func(ctx context.Context, p loaders.Ports) (any, error) {
			return p.Devices.ListDevices(ctx, nil, "NAME", page)
		},
		"CountDevices": func(ctx context.Context, p loaders.Ports) (any, error) { return p.Devices.CountDevices(ctx) },
		"DeviceEvents": func(ctx context.Context, p loaders.Ports) (any, error) {
			return p.Devices.ListDeviceEvents(ctx, seen.ids["device"], page)
		},
		"GetTrips": func(ctx context.Context, p loaders.Ports) (any, error) {
			return p.Trips.GetTrips(ctx, seen.ids["trip"])
		},
		"ListTrips": func(ctx context.Context, p loaders.Ports) (any, error) { return p.Trips.ListTrips(ctx, nil, page) },
		"OnVehicle": func(ctx context.Context, p loaders.Ports) (any, error) {
			return p.Trips.GetOpenTripsByVehicle(ctx, seen.ids["device"])
		},
		"OfAccount": func(ctx context.Context, p loaders.Ports) (any, error) {
			return p.Trips.GetOpenTripOfAccount(ctx, accounts[0])
		},
		"GetJobs":   func(ctx context.Context, p loaders.Ports) (any, error) { return p.Jobs.GetJobs(ctx, seen.ids["job"]) },
		"ListJobs":  func(ctx context.Context, p loaders.Ports) (any, error) { return p.Jobs.ListJobs(ctx, nil, page) },
		"CountJobs": func(ctx context.Context, p loaders.Ports) (any, error) { return p.Jobs.CountJobs(ctx) },
		"DeviceJobs": func(ctx context.Context, p loaders.Ports) (any, error) {
			return p.Jobs.ListDeviceJobs(ctx, seen.ids["device"], page)
		},
		"JobRuns": func(ctx context.Context, p loaders.Ports) (any, error) {
			return p.Jobs.ListJobRuns(ctx, seen.ids["job"], page)
		},
		"GetActivities": func(ctx context.Context, p loaders.Ports) (any, error) {
			return p.Activities.GetActivities(ctx, seen.ids["activity"])
		},
		"Activities": func(ctx context.Context, p loaders.Ports) (any, error) {
			return p.Activities.ListActivities(ctx, nil, page)
		},
		"Report": func(ctx context.Context, p loaders.Ports) (any, error) {
			return p.Activities.ReportHydration(ctx, report)
		},
	}
}

// Whatever is kept for one caller, another gets what the service would have told that one.
func TestNobodySeesWhatIsKeptForAnother(t *testing.T) {
	t.Parallel()
	h, callers := demo(t)
	asking := h.ports()
	caching, _, _ := h.cached(t, h.ports())
	seen := look(t, h, callers[0])
	accounts := []string{look(t, h, callers[2]).ids["account"][0], look(t, h, callers[3]).ids["account"][0], look(t, h, callers[0]).ids["account"][0]}
	h.get(t, callers[2].secret, `mutation { recordWater(input: {amountMl: 1}) { id } }`, nil)
	alice := caller.Caller{AccountID: accounts[0], Role: caller.Member, Scopes: caller.ScopesOf(caller.Member)}
	bob := caller.Caller{AccountID: accounts[1], Role: caller.Member, Scopes: caller.ScopesOf(caller.Member)}
	operator := caller.Caller{AccountID: accounts[2], Role: caller.Operator, Scopes: caller.ScopesOf(caller.Operator)}
	key, limited, lesser := operator, operator, operator
	key.APIKeyID, limited.APIKeyID, lesser.APIKeyID = "apikey_1", "apikey_2", "apikey_3"
	limited.DeviceLabels = map[string]string{"site": "nowhere"}
	lesser.Scopes = []string{caller.AccountRead}
	aliceKey := alice
	aliceKey.APIKeyID, aliceKey.Scopes = "apikey_4", append(aliceKey.Scopes, caller.JobRead)
	all := map[string]caller.Caller{
		"operator": operator, "alice": alice, "bob": bob, "key": key, "limited key": limited, "lesser key": lesser, "alice's key": aliceKey, "nobody": {},
	}
	for name, read := range reads(seen, accounts) {
		different := map[string]bool{}
		for range 2 {
			for as, who := range all {
				ctx := caller.NewContext(t.Context(), who)
				want, got := shown(read(ctx, asking)), shown(read(ctx, caching))
				different[want] = true
				if got != want {
					t.Errorf("%s: %s sees %.300s\nwant %.300s", name, as, got, want)
				}
			}
		}
		if len(different) < 2 {
			t.Errorf("%s: all see the same: this proves nothing", name)
		}
	}
}

// shown is an answer as a text; entities in the order of their ids.
func shown(answer any, err error) string {
	if err != nil {
		return string(errs.From(err).Code)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err.Error()
	}
	var list []map[string]any
	if json.Unmarshal(text, &list) != nil {
		return string(text)
	}
	slices.SortFunc(list, func(a, b map[string]any) int { return strings.Compare(fmt.Sprint(a["ID"]), fmt.Sprint(b["ID"])) })
	text, _ = json.Marshal(list)
	return string(text)
}
