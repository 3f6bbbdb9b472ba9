package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/testserver"
)

// eachKey applies a function to all keys.
func eachKey(do func(ctx context.Context, c *redis.Client, key string)) func(context.Context, *redis.Client) {
	return func(ctx context.Context, c *redis.Client) {
		for _, key := range c.Keys(ctx, "*").Val() {
			do(ctx, c, key)
		}
	}
}

func garbage(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.IntN(256))
	}
	return string(b)
}

const closesAll = "it closes all connections"

// attacks are faults of Redis by name. Connections are closed at most once for each write: the other gateway sees a write
// that could neither be marked nor released, without a peer, only when its event arrives.
func attacks(writes <-chan struct{}) map[string]func(ctx context.Context, c *redis.Client) {
	return map[string]func(ctx context.Context, c *redis.Client){
		"it loses all data": func(ctx context.Context, c *redis.Client) { c.FlushAll(ctx) },
		"random bytes":      eachKey(func(ctx context.Context, c *redis.Client, key string) { c.Set(ctx, key, garbage(rand.IntN(100)), 0) }),
		"truncated values": eachKey(func(ctx context.Context, c *redis.Client, key string) {
			text := c.Get(ctx, key).Val()
			// Shorter by at least one byte: the full text could restore a version that a write has replaced meanwhile, which
			// no gateway can detect.
			c.Set(ctx, key, text[:rand.IntN(max(len(text), 1))], 0)
		}),
		"another type": eachKey(func(ctx context.Context, c *redis.Client, key string) {
			c.Del(ctx, key)
			c.LPush(ctx, key, "x")
		}),
		"some keys vanish": eachKey(func(ctx context.Context, c *redis.Client, key string) {
			if rand.IntN(3) == 0 {
				c.Del(ctx, key)
			}
		}),
		"it is full": func(ctx context.Context, c *redis.Client) { c.ConfigSet(ctx, "maxmemory", "1") },
		"it is full at random times": func(ctx context.Context, c *redis.Client) {
			c.ConfigSet(ctx, "maxmemory", fmt.Sprint(rand.IntN(2)))
		},
		closesAll: func(ctx context.Context, c *redis.Client) {
			select {
			case <-writes:
				c.Do(ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			case <-ctx.Done():
			}
		},
	}
}

// With any fault of Redis no caller receives an error, and no read returns a value from before a finished write. After the
// fault the cache is used.
func TestReadsDuringFaultsOfRedisAreNeverStale(t *testing.T) {
	t.Parallel()
	writes := make(chan struct{})
	for name, attack := range attacks(writes) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testserver.StartRedis(t)
			s := newService("a", "b")
			gateways := []bff.Devices{openGateway(t, s, server, nil), openGateway(t, s, server, nil)}
			client := inspect(t, server)
			ctx, stop := context.WithCancel(as(t, operator()))
			var attacker sync.WaitGroup
			attacker.Go(func() {
				for ctx.Err() == nil {
					attack(ctx, client)
					<-time.After(rand.N(5 * time.Millisecond))
				}
			})
			for i := range 100 {
				want := fmt.Sprint(i)
				if name == closesAll {
					select {
					case writes <- struct{}{}:
					default: // the attacker is busy
					}
				}
				rename(t, ctx, gateways[i%2], "a", want)
				for n := range 4 {
					if got := names(t, ctx, gateways[n%2], "a", "b"); got != want+",initial" {
						t.Fatalf("after the write of %s a gateway returns %s", want, got)
					}
				}
			}
			stop()
			attacker.Wait()
			client.ConfigSet(t.Context(), "maxmemory", "0")
			eventually(t, "a use of the cache", func() bool {
				s.calls()
				for _, g := range gateways {
					if got := names(t, as(t, operator()), g, "a", "b"); got != "99,initial" {
						t.Fatalf("after the fault a gateway returns %s", got)
					}
				}
				return len(s.calls()) == 0
			})
		})
	}
}

// A Redis that refuses the password or all writes is like an unavailable one.
func TestReadsWithARedisThatRefusesCallsBypassTheCache(t *testing.T) {
	t.Parallel()
	primary, server := testserver.StartRedis(t), testserver.StartRedis(t)
	client := inspect(t, server)
	_, port, _ := strings.Cut(primary.Addr(), ":")
	if err := client.ReplicaOf(t.Context(), "127.0.0.1", port).Err(); err != nil {
		t.Fatal(err)
	}
	locked := testserver.StartRedis(t)
	if err := inspect(t, locked).ConfigSet(t.Context(), "requirepass", "another").Err(); err != nil {
		t.Fatal(err)
	}
	for name, url := range map[string]string{
		"a wrong password": strings.Replace(locked.URL(), "redis://", "redis://:sesame@", 1),
		"a replica":        server.URL(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService("a")
			g := newGateway(t, s, func(o *Options) {
				o.Redis = connect(t, url, time.Second)
			})
			ctx := as(t, operator())
			for i := range 10 {
				rename(t, ctx, g, "a", fmt.Sprint(i))
				for range 2 {
					if got := names(t, ctx, g, "a"); got != fmt.Sprint(i) {
						t.Errorf("after the write of %d it returns %s", i, got)
					}
				}
			}
			if n := len(s.calls()); n != 30 {
				t.Errorf("the service has %d calls, want 30", n)
			}
		})
	}
}
