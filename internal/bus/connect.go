package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	connectTimeout = 5 * time.Second
	reconnectWait  = 500 * time.Millisecond
	pingInterval   = 10 * time.Second // the broker is away after unansweredPing pings without a response
	unansweredPing = 2
	reconnectBytes = 1 << 20 // buffer for a broker that is away; more is refused at once
	drainTimeout   = 30 * time.Second
)

func (b *Bus) connect(ctx context.Context, options Options, embedded *server.Server) (*nats.Conn, error) {
	timeout := connectTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	settings := append(b.connectionHandlers(),
		nats.Name(options.Name),
		nats.Timeout(timeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectBufSize(reconnectBytes),
		nats.IgnoreAuthErrorAbort(), // credentials may be replaced while the process runs
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(unansweredPing),
		nats.DrainTimeout(drainTimeout),
	)
	if embedded != nil {
		return nats.Connect("", append(settings, nats.InProcessServer(embedded))...)
	}
	if options.CredentialsFile != "" {
		settings = append(settings, nats.UserCredentials(options.CredentialsFile))
	}
	if options.TLS != nil {
		settings = append(settings, nats.Secure(options.TLS))
	}
	settings = append(settings, nats.RetryOnFailedConnect(true), nats.ConnectHandler(func(c *nats.Conn) {
		b.logger.Info("the broker is connected", "server", c.ConnectedServerName())
	}))
	return nats.Connect(options.URL, settings...)
}

// connectionHandlers log disconnects and reconnects, and report the end of the connection.
func (b *Bus) connectionHandlers() []nats.Option {
	return []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil at our own Close
				b.logger.Warn("the broker is away", "error", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			b.logger.Info("the broker is back", "server", c.ConnectedServerName())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if sub != nil {
				err = fmt.Errorf("subscription %s: %w", sub.Subject, err)
			}
			b.logger.Error("broker error", "error", err)
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(b.closed) }),
	}
}
