package bus_test

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sluicehq/sluice/internal/bus"
	"github.com/sluicehq/sluice/internal/testserver"
	"github.com/sluicehq/sluice/internal/worker"
)

func TestOpenRemoteBrokerAwayIsReadyOnceItIsBack(t *testing.T) {
	t.Parallel()
	broker := testserver.StartNATS(t)
	broker.Kill(t)
	b := open(t, bus.Options{URL: broker.URL()})
	if b.Ready() == nil {
		t.Fatal("ready without a broker")
	}
	declaring := worker.New(b.Loop(), worker.Options{})
	declaring.Start(t.Context())
	t.Cleanup(func() { _ = declaring.Stop(t.Context()) })
	broker.Start(t)
	eventually(t, "the streams to be declared", func() bool { return b.Ready() == nil })
	publish(t, b, event("trip_1", "changed", "first"))
}

func TestStreamsOfAClusterHaveThreeReplicas(t *testing.T) {
	t.Parallel()
	urls := startCluster(t, 3)
	single := open(t, bus.Options{URL: urls, Replicas: 1})
	publish(t, single, event("trip_1", "changed", "before"))
	if n := streamConfig(t, single, bus.Events).Replicas; n != 1 {
		t.Fatalf("%d replicas, want the 1 of the options", n)
	}
	raised := open(t, bus.Options{URL: urls})
	for _, name := range []string{bus.Events, bus.Jobs} {
		if n := streamConfig(t, raised, name).Replicas; n != 3 {
			t.Errorf("%s has %d replicas, want 3", name, n)
		}
	}
	eventually(t, "the replicas to be current", func() bool {
		info := streamInfo(t, raised, bus.Events)
		if info.Cluster == nil || len(info.Cluster.Replicas) != 2 {
			return false
		}
		return info.Cluster.Replicas[0].Current && info.Cluster.Replicas[1].Current
	})
	if n := streamInfo(t, raised, bus.Events).State.Msgs; n != 1 {
		t.Errorf("%d events after the change, want 1", n)
	}
}

// startCluster starts a cluster in this process and returns the addresses of its servers.
func startCluster(t *testing.T, size int) string {
	t.Helper()
	routes := make([]*url.URL, size)
	for i := range routes {
		routes[i] = &url.URL{Scheme: "nats", Host: net.JoinHostPort("127.0.0.1", testserver.FreePort(t))}
	}
	servers := make([]*server.Server, size)
	addresses := make([]string, size)
	for i := range servers {
		port, err := strconv.Atoi(routes[i].Port())
		if err != nil {
			t.Fatal(err)
		}
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(), JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 8 << 30,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}, Routes: routes,
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		servers[i], addresses[i] = s, s.ClientURL()
	}
	eventually(t, "the cluster to have a leader", func() bool {
		for _, s := range servers {
			if s.JetStreamIsLeader() {
				return len(s.JetStreamClusterPeers()) == size
			}
		}
		return false
	})
	return strings.Join(addresses, ",")
}
