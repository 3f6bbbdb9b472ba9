// Package redisdb opens the Redis client of a process: one connection pool and one circuit breaker for the cache, the
// budgets and the persisted documents. Each call ends within the timeout. After several failures in a row the breaker
// opens, and calls fail at once until a trial call succeeds. Calls are not retried, because each user has a fallback:
// the services, or the memory of this process.
package redisdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/sony/gobreaker/v2"
)

// Defaults of Options.
const (
	defaultFailures = 3
	defaultOpenFor  = time.Second
)

// Options configure a Client.
type Options struct {
	URL      string                // redis://, rediss:// or unix://
	Timeout  time.Duration         // of one call, and of each of its steps: acquire a connection, connect, write, read
	PoolSize int                   // connections at most; 0 means ten for each CPU
	Failures int                   // in a row, until the breaker opens; default 3
	OpenFor  time.Duration         // until a trial call; default 1 s
	Logger   *slog.Logger          // logs the state changes of the breaker
	Registry prometheus.Registerer // nil registers no metrics
}

// Client is a connection pool behind a circuit breaker. It is safe for concurrent use.
type Client struct {
	redis   *redis.Client
	options Options
	breaker *gobreaker.CircuitBreaker[struct{}]
	calls   *prometheus.CounterVec
	used    atomic.Bool

	mu            sync.Mutex
	onConnect     []func(ctx context.Context, conn *redis.Conn) error
	onBreakerOpen []func()
}

// Call sends commands to Redis, under a context with the timeout of the Client.
type Call func(ctx context.Context, client *redis.Client) error

// Open returns a Client, which connects at the first call.
func Open(options Options) (*Client, error) {
	disableLog()
	parsed, err := redis.ParseURL(options.URL)
	if err != nil {
		return nil, fmt.Errorf("parse the URL of redis: %w", err)
	}
	if options.Failures == 0 {
		options.Failures = defaultFailures
	}
	if options.OpenFor == 0 {
		options.OpenFor = defaultOpenFor
	}
	c := &Client{options: options}
	parsed.DialTimeout, parsed.DialerRetries = options.Timeout, 1
	parsed.ReadTimeout, parsed.WriteTimeout, parsed.PoolTimeout = options.Timeout, options.Timeout, options.Timeout
	parsed.ContextTimeoutEnabled = true
	parsed.MaxRetries = -1
	if options.PoolSize > 0 {
		parsed.PoolSize = options.PoolSize
	}
	parsed.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	parsed.OnConnect = c.connected
	c.redis = redis.NewClient(parsed)
	c.breaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name: "redis", Timeout: options.OpenFor, MaxRequests: 1,
		ReadyToTrip:   func(counts gobreaker.Counts) bool { return int(counts.ConsecutiveFailures) >= options.Failures },
		IsSuccessful:  isAvailable,
		OnStateChange: c.stateChanged,
	})
	c.register()
	return c, nil
}

// Call outcomes in metrics.
const (
	outcomeOK      = "ok"
	outcomeFailed  = "failed"
	outcomeRefused = "refused"
)

func (c *Client) register() {
	c.calls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_redis_calls_total", Help: "Calls to Redis by outcome: ok, failed, or refused by the open circuit breaker.",
	}, []string{"outcome"})
	for _, outcome := range []string{outcomeOK, outcomeFailed, outcomeRefused} {
		c.calls.WithLabelValues(outcome) // the series exists before the first call
	}
	if c.options.Registry == nil {
		return
	}
	c.options.Registry.MustRegister(c.calls, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sluice_redis_breaker_state", Help: "State of the circuit breaker of Redis: 0 closed, 1 half-open, 2 open.",
	}, func() float64 {
		return map[gobreaker.State]float64{gobreaker.StateHalfOpen: 1, gobreaker.StateOpen: 2}[c.breaker.State()]
	}))
}

// OnConnect registers a hook that runs on each new connection before its first command. A failed hook closes the
// connection. It panics after the first call, when a connection without the hook may exist.
func (c *Client) OnConnect(hook func(ctx context.Context, conn *redis.Conn) error) {
	if c.used.Load() {
		panic("redisdb: OnConnect after the first call")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onConnect = append(c.onConnect, hook)
}

func (c *Client) connected(ctx context.Context, conn *redis.Conn) error {
	c.mu.Lock()
	hooks := c.onConnect
	c.mu.Unlock()
	for _, hook := range hooks {
		if err := hook(ctx, conn); err != nil {
			return err
		}
	}
	return nil
}

// OnBreakerOpen registers a hook that runs when the breaker opens. It must not call the Client.
func (c *Client) OnBreakerOpen(hook func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onBreakerOpen = append(c.onBreakerOpen, hook)
}

func (c *Client) stateChanged(_ string, from, to gobreaker.State) {
	c.options.Logger.Warn("the circuit breaker of redis changed its state", "from", from.String(), "to", to.String())
	if to != gobreaker.StateOpen {
		return
	}
	c.mu.Lock()
	hooks := c.onBreakerOpen
	c.mu.Unlock()
	for _, hook := range hooks {
		hook()
	}
}

// Do executes the call, unless the breaker is open. The end of ctx does not end the call, because it is no failure of
// Redis.
func (c *Client) Do(ctx context.Context, call Call) error {
	_, err := c.breaker.Execute(func() (struct{}, error) { return struct{}{}, c.execute(ctx, call) })
	if IsRefused(err) {
		c.calls.WithLabelValues(outcomeRefused).Inc()
	}
	return err
}

// DoAlways executes the call even if the breaker is open. A failure counts.
func (c *Client) DoAlways(ctx context.Context, call Call) error {
	err := c.execute(ctx, call)
	if err != nil {
		c.ReportFailures(err, 1)
	}
	return err
}

// ReportFailures counts failures of calls that shared the round trip of a failed one.
func (c *Client) ReportFailures(err error, count int) {
	for range min(count, c.options.Failures) {
		_, _ = c.breaker.Execute(func() (struct{}, error) { return struct{}{}, err })
	}
}

func (c *Client) execute(ctx context.Context, call Call) error {
	c.used.Store(true)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.options.Timeout)
	defer cancel()
	err := call(ctx, c.redis)
	if isAvailable(err) {
		c.calls.WithLabelValues(outcomeOK).Inc()
	} else {
		c.calls.WithLabelValues(outcomeFailed).Inc()
	}
	return err
}

// Timeout returns the timeout of one call.
func (c *Client) Timeout() time.Duration { return c.options.Timeout }

// State returns the state of the breaker: "closed", "half-open" or "open".
func (c *Client) State() string { return c.breaker.State().String() }

// Close closes all connections.
func (c *Client) Close() error { return c.redis.Close() }

// IsRefused reports whether the breaker refused the call.
func IsRefused(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}

// isAvailable reports whether Redis serves other calls. An error of one call, such as a missing key, another type or
// no memory, does not open the breaker.
func isAvailable(err error) bool {
	switch {
	case err == nil:
		return true
	case redis.IsAuthError(err), redis.IsPermissionError(err), redis.IsReadOnlyError(err), redis.IsLoadingError(err),
		redis.IsMasterDownError(err), redis.IsClusterDownError(err), redis.IsMaxClientsError(err):
		return false
	}
	_, isReply := errors.AsType[redis.Error](err)
	return isReply
}

// disableLog disables the log of the library, which has another format and is global.
var disableLog = sync.OnceFunc(func() { redis.SetLogger(discard{}) })

type discard struct{}

func (discard) Printf(context.Context, string, ...any) {}
