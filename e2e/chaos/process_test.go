package chaos

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
	"github.com/sluicehq/sluice/internal/testserver"
)

// One of three processes is killed under readings and commands: each reading with PUBACK is stored once, each command
// ends, and devices that stay away are UNKNOWN and then OFFLINE.
func TestKilledProcessLosesNothing(t *testing.T) {
	const absent = 5
	devices, every, length := scaled(30, 200), scaled(100*time.Millisecond, 40*time.Millisecond), scaled(6*time.Second, time.Minute)
	shared := append(harness.StartNATS(t), "--services-device-database="+testserver.StartPostgres(t).NewDatabase(t), "--device-restart-grace", "15s")
	var processes []*harness.Program
	var addrs []string
	data := t.TempDir()
	token := harness.CreateAPIKey(t, data, "ADMIN", "device:read", "device:write", "device:command")
	key, err := os.ReadFile(filepath.Join(data, "sealing.key"))
	if err != nil {
		t.Fatal(err)
	}
	shared = append(shared, "--sealing-keys="+strings.TrimSpace(string(key)))
	for _, folder := range []string{data, t.TempDir(), t.TempDir()} {
		p := harness.Start(t, slices.Concat([]string{"serve", "--addr", "127.0.0.1:0", "--data", folder}, shared)...)
		processes, addrs = append(processes, p), append(addrs, p.MQTTAddr(t))
	}
	one, killed := processes[0], processes[2]
	f := startFleet(t, one, token, devices, func(i int) func() string {
		var attempt atomic.Int64
		return func() string { return addrs[(i+int(attempt.Add(1))-1)%len(addrs)] } // as by DNS
	})
	away := f.workers[2 : 2+3*absent : 2+3*absent] // each third is at the killed process
	for i := 0; i < len(away); i += 3 {
		close(away[i].away)
	}
	until := time.Now().Add(length)
	for i, w := range f.workers {
		if !isAway(w) {
			f.running.Go(func() { w.work(f.ctx, every, until) })
		} else if i%3 != 2 {
			t.Fatal("a device that stays away is not at the process that is killed")
		}
	}
	commands := &commander{sent: map[string]sentCommand{}}
	commanded := make(chan struct{})
	working := slices.DeleteFunc(slices.Clone(f.workers), isAway)
	go func() { commands.run(one, token, working, 10*time.Second, until); close(commanded) }()
	time.Sleep(length / 3) // the middle of the work
	killed.Kill(t)
	at := time.Now()
	awaitPresence(t, one, token, away[0], "UNKNOWN")
	unknown := time.Since(at)
	<-commanded
	ids := commands.ids()
	took := commands.take(t, 2*harness.Timeout)
	f.awaitAcknowledged(t, 2*harness.Timeout)
	latencies := f.latencies()
	n := f.checkStored(t, one, token)
	t.Logf("%d readings are stored, %.0f/s; PUBACK p50 %v p99 %v, at most %v; %d commands, p99 %v; UNKNOWN after %v", n, float64(n)/length.Seconds(),
		percentile(latencies, 0.5), percentile(latencies, 0.99), percentile(latencies, 1), len(took), percentile(took, 0.99), unknown.Round(10*time.Millisecond))
	awaitEnd(t, one, token, ids)
	for i := 0; i < len(away); i += 3 {
		awaitPresence(t, one, token, away[i], "OFFLINE")
	}
	if bar := scaled(harness.Timeout, 12*time.Second); unknown > bar {
		t.Errorf("a device is UNKNOWN %v after the end of its process", unknown)
	}
}

func isAway(w *worker) bool {
	select {
	case <-w.away:
		return true
	default:
		return false
	}
}

func awaitPresence(t *testing.T, p *harness.Program, token string, w *worker, want string) {
	t.Helper()
	harness.Eventually(t, harness.Timeout, "the device is "+want, func() bool {
		return harness.Query[struct{ Device struct{ Presence string } }](t, p, token, `query($id: ID!) { device(id: $id) { presence } }`,
			harness.Vars{"id": w.ID}).Device.Presence == want
	})
}

// awaitEnd waits until all commands have ended, and succeeded.
func awaitEnd(t *testing.T, p *harness.Program, token string, ids []string) {
	t.Helper()
	const query = `query($id: ID!) { node(id: $id) { ... on Command { status finishedAt } } }`
	ended := map[string]int{}
	for _, id := range ids {
		var c struct {
			Status     string
			FinishedAt *time.Time
		}
		harness.Eventually(t, 2*harness.Timeout, "a command has ended", func() bool {
			c = harness.Query[struct {
				Node struct {
					Status     string
					FinishedAt *time.Time
				}
			}](t, p, token, query, harness.Vars{"id": id}).Node
			return c.FinishedAt != nil
		})
		ended[c.Status]++
	}
	if t.Logf("the commands ended as %v", ended); ended["SUCCEEDED"] != len(ids) {
		t.Errorf("not all commands succeeded: %v", ended)
	}
}
