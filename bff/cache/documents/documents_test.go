package documents_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/bff/cache/documents"
	"github.com/sluicehq/sluice/bff/persisted"
	"github.com/sluicehq/sluice/internal/testserver"
)

// sharing is a gateway's documents, shared in the Redis.
func sharing(t *testing.T, server *testserver.Redis) *documents.Shared {
	t.Helper()
	near, err := persisted.NewMemory(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, DialTimeout: time.Second, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	return documents.New(client, near, documents.Options{Timeout: 500 * time.Millisecond, Keep: time.Hour, Logger: slog.New(slog.DiscardHandler)})
}

func TestWhatOneGatewayRegistersAllKnow(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	one, two := sharing(t, server), sharing(t, server)
	text := "{ viewer { scopes } }"
	hash := persisted.Hash(text)
	if _, found := two.Get(t.Context(), hash); found {
		t.Fatal("a document is there before anybody registered it")
	}
	one.Put(t.Context(), hash, text)
	if got, found := two.Get(t.Context(), hash); !found || got != text {
		t.Errorf("the other gateway finds %q, %v", got, found)
	}
	server.Kill(t)
	for name, gateway := range map[string]*documents.Shared{"one": one, "two": two} {
		if got, found := gateway.Get(t.Context(), hash); !found || got != text {
			t.Errorf("without Redis, gateway %s finds %q, %v", name, got, found)
		}
	}
	other := "{ __typename }"
	one.Put(t.Context(), persisted.Hash(other), other)
	if got, found := one.Get(t.Context(), persisted.Hash(other)); !found || got != other {
		t.Errorf("without Redis, a gateway does not keep what is registered: %q, %v", got, found)
	}
}

// Whoever can write into Redis cannot have a gateway run another document than was asked for.
func TestATextThatIsNotOfItsHashIsNotTaken(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	hash := persisted.Hash("{ viewer { scopes } }")
	if err := client.Set(t.Context(), "sluice:document:"+hash, "mutation { logout }", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, found := sharing(t, server).Get(t.Context(), hash); found {
		t.Errorf("found %q", got)
	}
}

func TestAHangingRedisIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	gateway := sharing(t, server)
	server.Hang(t)
	for range 20 { // three wait, the others do not
		if _, found := gateway.Get(t.Context(), strings.Repeat("0", 64)); found {
			t.Fatal("found what is not there")
		}
	}
}
