package observability

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/e2e/harness"
)

// A request is one trace, from what its client began, over HTTP, resolvers and calls, to the SQL.
func TestRequestIsOneTraceFromHTTPToSQL(t *testing.T) {
	t.Parallel()
	c, endpoint := harness.StartCollector(t)
	data := t.TempDir()
	key := harness.CreateAPIKey(t, data, "OPERATOR", "trip:read", "device:read")
	p := harness.Start(t, "serve", "--addr", "127.0.0.1:0", "--data", data, "--telemetry-otlp-endpoint", endpoint)
	const trace, client = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/graphql",
		strings.NewReader(`{"query": "query Board { trips { nodes { id } } devices { nodes { id } } }"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-API-Key", key)
	request.Header.Set("Traceparent", "00-"+trace+"-"+client+"-01")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	p.StopCleanly(t) // which sends what is left to send

	spans := c.Spans()
	known := map[string]string{client: "the client"} // names by span
	for _, s := range spans {
		if s.Trace == trace {
			known[s.ID] = s.Name
		}
	}
	below := map[string]bool{} // "child < parent"
	for _, s := range spans {
		if s.Trace != trace {
			continue
		}
		if known[s.Parent] == "" {
			t.Errorf("the parent of %s is not in the trace", s.Name)
		}
		below[s.Name+" < "+known[s.Parent]] = true
	}
	for _, want := range []string{
		"POST /graphql < the client", "graphql query < POST /graphql", "Query.trips < graphql query",
		"trip/ListTrips < Query.trips", "trip.ListTrips < trip/ListTrips", "sql.conn.query < trip.ListTrips",
		"sql.conn.query < device.ListDevices",
	} {
		if !below[want] {
			t.Errorf("there is no %s: %v", want, below)
		}
	}
}
