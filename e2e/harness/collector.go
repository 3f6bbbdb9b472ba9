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

// Span is what the test wants to know of one.
type Span struct{ Trace, ID, Parent, Name, SQL string }

// Collector takes spans over OTLP/gRPC. It reads the few fields that it needs from the wire, by the
// numbers of opentelemetry/proto/trace/v1/trace.proto.
type Collector struct {
	mu    sync.Mutex
	spans []Span
}

// StartCollector serves a collector until the test ends, and gives its address.
func StartCollector(t *testing.T) (*Collector, string) {
	t.Helper()
	c := &Collector{}
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

func (c *Collector) take(request []byte) {
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
