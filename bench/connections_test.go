package bench

import (
	"context"
	"strings"
	"sync"

	"google.golang.org/grpc"
)

// connPerService opens one connection for each service, as a gateway in front of separate services does.
type connPerService struct {
	dial  func() (grpc.ClientConnInterface, error)
	mu    sync.Mutex
	conns map[string]grpc.ClientConnInterface // by the name of the service
}

// Invoke calls a method over the connection of its service.
func (c *connPerService) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	conn, err := c.of(method)
	if err != nil {
		return err
	}
	return conn.Invoke(ctx, method, args, reply, options...)
}

// NewStream opens a stream over the connection of its service.
func (c *connPerService) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	conn, err := c.of(method)
	if err != nil {
		return nil, err
	}
	return conn.NewStream(ctx, desc, method, options...)
}

// of returns the connection for a method such as /sluice.trip.v1.Trips/ListTrips.
func (c *connPerService) of(method string) (grpc.ClientConnInterface, error) {
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn := c.conns[service]; conn != nil {
		return conn, nil
	}
	conn, err := c.dial()
	if err != nil {
		return nil, err
	}
	if c.conns == nil {
		c.conns = map[string]grpc.ClientConnInterface{}
	}
	c.conns[service] = conn
	return conn, nil
}
