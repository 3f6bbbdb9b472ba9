package harness

import (
	"bytes"
	"context"
	"encoding/hex"
	"net"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Span holds the fields of a span that the tests read.
type Span struct{ Trace, ID, Parent, Name, SQL string }

// Collector receives spans over OTLP/gRPC. It decodes only the fields of Span, by their field numbers in
// opentelemetry/proto/trace/v1/trace.proto.
type Collector struct {
	mu    sync.Mutex
	spans []Span
}

// StartCollector runs a collector until the test ends, and returns it with its address.
func StartCollector(t *testing.T) (*Collector, string) {
	t.Helper()
	c := &Collector{}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "opentelemetry.proto.collector.trace.v1.TraceService",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Export", Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			request := &emptypb.Empty{} // which retains all fields as unknown fields
			if err := decode(request); err != nil {
				return nil, err
			}
			c.receive(request.ProtoReflect().GetUnknown())
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

func (c *Collector) receive(request []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range fields(request, 1) {
		for _, scope := range fields(resource, 2) {
			for _, text := range fields(scope, 2) {
				one := func(number protowire.Number) []byte { return bytes.Join(fields(text, number), nil) }
				c.spans = append(c.spans, Span{
					Trace: hex.EncodeToString(one(1)), ID: hex.EncodeToString(one(2)),
					Parent: hex.EncodeToString(one(4)), Name: string(one(5)), SQL: sqlOf(fields(text, 9)),
				})
			}
		}
	}
}

// Spans returns the spans that have arrived so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

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
