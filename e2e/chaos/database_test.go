package chaos

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
	"github.com/sluicehq/sluice/internal/testserver"
)

// The database is away while devices publish: all are back soon after it, and nothing that got PUBACK is lost.
func TestDevicesAreBackAfterAnOutageOfTheDatabase(t *testing.T) {
	devices, outage := scaled(100, 5_000), scaled(7*time.Second, 30*time.Second)
	every := scaled(500*time.Millisecond, 10*time.Second)
	postgres := testserver.StartPostgres(t)
	data := t.TempDir()
	token := harness.CreateAPIKey(t, data, "ADMIN", "device:read", "device:write", "device:command")
	p := harness.Start(t, "serve", "--addr", "127.0.0.1:0", "--data", data, "--services-device-database="+postgres.NewDatabase(t))
	addr := p.MQTTAddr(t)
	began := time.Now()
	f := startFleet(t, p, token, devices, func(int) func() string { return func() string { return addr } })
	t.Logf("%d devices are registered and connected after %v", devices, time.Since(began).Round(time.Second))
	until := time.Now().Add(outage + scaled(8*time.Second, 50*time.Second))
	for _, w := range f.workers {
		f.running.Go(func() { w.work(f.ctx, every, until) })
	}
	f.awaitFirstAcknowledged(t, 2*harness.Timeout)
	postgres.Stop()
	time.Sleep(outage) // its length is the condition of the test
	left := f.connected()
	postgres.Restart(t)
	restarted := time.Now()
	f.awaitConnected(t, devices, 2*harness.Timeout)
	back := time.Since(restarted)
	time.Sleep(time.Until(until)) // the devices work by the clock
	f.awaitAcknowledged(t, 2*harness.Timeout)
	n := f.checkStored(t, p, token)
	t.Logf("at the end of the outage %d of %d devices are connected, all are back after %v; %d readings are stored, PUBACK at most %v",
		left, devices, back.Round(100*time.Millisecond), n, percentile(f.latencies(), 1))
	if back > time.Minute {
		t.Errorf("the devices are back %v after the database", back)
	}
}
