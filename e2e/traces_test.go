package e2e

import (
	"bytes"
	"context"
	"encoding/hex"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"
)

// span is what the test wants to know of one.
type span struct{ trace, id, parent, name, sql string }

// collector takes spans over OTLP/gRPC. It reads the few fields that it needs from the wire, by the
// numbers of opentelemetry/proto/trace/v1/trace.proto.
type collector struct {
	mu    sync.Mutex
	spans []span
}

// startCollector serves a collector until the test ends, and gives its address.
func startCollector(t *testing.T) (*collector, string) {
	t.Helper()
	c := &collector{}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "opentelemetry.proto.collector.trace.v1.TraceService",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Export", Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			request := &emptypb.Empty{} // keeps all fields as unknown ones
			if err := decode(request); err != nil {
				return nil, err
			}
			c.take(request.ProtoReflect().GetUnknown())
			return &emptypb.Empty{}, nil
		}}},
	}, c)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Errorf("the collector: %v", err)
		}
	})
	return c, listener.Addr().String()
}

func (c *collector) take(request []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range fields(request, 1) {
		for _, scope := range fields(resource, 2) {
			for _, text := range fields(scope, 2) {
				one := func(number protowire.Number) []byte { return bytes.Join(fields(text, number), nil) }
				c.spans = append(c.spans, span{
					trace: hex.EncodeToString(one(1)), id: hex.EncodeToString(one(2)),
					parent: hex.EncodeToString(one(4)), name: string(one(5)), sql: sqlOf(fields(text, 9)),
				})
			}
		}
	}
}

// sqlOf is the statement among the attributes of a span, if there is one.
func sqlOf(attributes [][]byte) string {
	for _, attribute := range attributes {
		switch string(bytes.Join(fields(attribute, 1), nil)) {
		case "db.statement", "db.query.text":
			value := bytes.Join(fields(attribute, 2), nil)
			return string(bytes.Join(fields(value, 1), nil))
		}
	}
	return ""
}

// fields gives the values of a message's field that is text, bytes or a message.
func fields(message []byte, wanted protowire.Number) (values [][]byte) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeField(message)
		if n < 0 {
			return values
		}
		if number == wanted && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(message)
			value, _ := protowire.ConsumeBytes(message[tag:])
			values = append(values, value)
		}
		message = message[n:]
	}
	return values
}

// A request is one trace, from what its client began, over HTTP, resolvers and calls, to the SQL.
func TestOneRequestIsOneTrace(t *testing.T) {
	t.Parallel()
	c, endpoint := startCollector(t)
	data := t.TempDir()
	key := makeKey(t, data, "OPERATOR", "trip:read", "device:read")
	p := start(t, "serve", "--addr", "127.0.0.1:0", "--data", data, "--telemetry-otlp-endpoint", "http://"+endpoint)
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
	p.stopCleanly(t) // which sends what is left to send

	c.mu.Lock()
	defer c.mu.Unlock()
	known := map[string]string{client: "the client"} // names by span
	for _, s := range c.spans {
		if s.trace == trace {
			known[s.id] = s.name
		}
	}
	below := map[string]bool{} // "child < parent"
	for _, s := range c.spans {
		if s.trace != trace {
			continue
		}
		if known[s.parent] == "" {
			t.Errorf("the parent of %s is not in the trace", s.name)
		}
		below[s.name+" < "+known[s.parent]] = true
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
