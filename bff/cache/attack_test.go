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

// each does something to all keys that there are.
func each(do func(ctx context.Context, c *redis.Client, key string)) func(context.Context, *redis.Client) {
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

const endsAll = "it ends all connections"

// attacks are what may befall Redis, by what it does then. Connections are ended once a write at most: one
// that Redis can be told of neither before nor after, with no neighbour to ask, is seen by the other
// gateway when its event arrives.
func attacks(writes <-chan struct{}) map[string]func(ctx context.Context, c *redis.Client) {
	return map[string]func(ctx context.Context, c *redis.Client){
		"it loses all": func(ctx context.Context, c *redis.Client) { c.FlushAll(ctx) },
		"random bytes": each(func(ctx context.Context, c *redis.Client, key string) { c.Set(ctx, key, garbage(rand.IntN(100)), 0) }),
		"cut short": each(func(ctx context.Context, c *redis.Client, key string) {
			text := c.Get(ctx, key).Val()
			// By one byte at least: whole, it could put back a version that a write has taken away meanwhile,
			// and who has versions put back is believed.
			c.Set(ctx, key, text[:rand.IntN(max(len(text), 1))], 0)
		}),
		"another type": each(func(ctx context.Context, c *redis.Client, key string) {
			c.Del(ctx, key)
			c.LPush(ctx, key, "x")
		}),
		"some go": each(func(ctx context.Context, c *redis.Client, key string) {
			if rand.IntN(3) == 0 {
				c.Del(ctx, key)
			}
		}),
		"it is full": func(ctx context.Context, c *redis.Client) { c.ConfigSet(ctx, "maxmemory", "1") },
		"it is full now and then": func(ctx context.Context, c *redis.Client) {
			c.ConfigSet(ctx, "maxmemory", fmt.Sprint(rand.IntN(2)))
		},
		endsAll: func(ctx context.Context, c *redis.Client) {
			select {
			case <-writes:
				c.Do(ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			case <-ctx.Done():
			}
		},
	}
}

// Whatever befalls what stands in Redis, no caller is told an error, and nobody sees what was before a
// write that was answered. When it is over the cache is used again.
func TestWhateverBefallsRedis(t *testing.T) {
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
				if name == endsAll {
					select {
					case writes <- struct{}{}:
					default: // the attacker is not back from the last
					}
				}
				rename(t, ctx, gateways[i%2], "a", want)
				for n := range 4 {
					if got := names(t, ctx, gateways[n%2], "a", "b"); got != want+",as made" {
						t.Fatalf("after %s was written a gateway gives %s", want, got)
					}
				}
			}
			stop()
			attacker.Wait()
			client.ConfigSet(t.Context(), "maxmemory", "0")
			eventually(t, "the cache to be used again", func() bool {
				s.calls()
				for _, g := range gateways {
					if got := names(t, as(t, operator()), g, "a", "b"); got != "99,as made" {
						t.Fatalf("when it is over a gateway gives %s", got)
					}
				}
				return len(s.calls()) == 0
			})
		})
	}
}

// A Redis that does not let the gateway in, or takes no writes, is as if it were not there.
func TestARedisThatSaysNo(t *testing.T) {
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
		"a password that is wrong": strings.Replace(locked.URL(), "redis://", "redis://:sesame@", 1),
		"a replica":                server.URL(),
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
						t.Errorf("after %d was written it gives %s", i, got)
					}
				}
			}
			if n := len(s.calls()); n != 30 {
				t.Errorf("the service was asked %d times, want 30", n)
			}
		})
	}
}
