package documents_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/bff/cache/documents"
	"github.com/sluicehq/sluice/bff/persisted"
	"github.com/sluicehq/sluice/internal/redisdb"
	"github.com/sluicehq/sluice/internal/testserver"
)

// openShared returns the store of one gateway.
func openShared(t *testing.T, server *testserver.Redis) *documents.Shared {
	t.Helper()
	memory, err := persisted.NewMemory(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	client, err := redisdb.Open(redisdb.Options{URL: server.URL(), Timeout: time.Second, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return documents.New(client, memory, documents.Options{TTL: time.Hour, Logger: logger})
}

func TestSharedPutOfOneGatewayIsFoundByAnother(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	one, two := openShared(t, server), openShared(t, server)
	text := "{ viewer { scopes } }"
	hash := persisted.Hash(text)
	if _, found := two.Get(t.Context(), hash); found {
		t.Fatal("a document is there before a gateway registered it")
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

// A client with write access to Redis cannot replace a document by another one.
func TestSharedGetOfATextWithAnotherHashFindsNothing(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	hash := persisted.Hash("{ viewer { scopes } }")
	if err := client.Set(t.Context(), "sluice:document:"+hash, "mutation { logout }", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, found := openShared(t, server).Get(t.Context(), hash); found {
		t.Errorf("found %q", got)
	}
}

func TestSharedGetWhenRedisHangsWaitsForABoundedTime(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	gateway := openShared(t, server)
	server.Hang(t)
	for range 20 { // three wait, the others do not
		if _, found := gateway.Get(t.Context(), strings.Repeat("0", 64)); found {
			t.Fatal("found what is not there")
		}
	}
}
