package chaos

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
)

// phase is what devices at work noticed during a time.
type phase struct {
	puback, command time.Duration // p99
	resident        int64         // bytes, at most
	disk            int64         // bytes by which the data folder grew
	processor       float64       // seconds of processor time
	seconds         float64
}

func (p phase) String() string {
	return fmt.Sprintf("PUBACK p99 %v, command p99 %v, resident %d MiB, disk +%.1f MiB, processor %.1f s in %.0f s",
		p.puback, p.command, p.resident>>20, float64(p.disk)/(1<<20), p.processor, p.seconds)
}

func commandID(r harness.Response) (string, error) {
	if len(r.Errors) > 0 {
		return "", errors.New(r.Errors[0].String())
	}
	var data struct{ SendCommand struct{ ID string } }
	err := json.Unmarshal(r.Data, &data)
	return data.SendCommand.ID, err
}

// Devices at work do not notice one of each abuser beside them, from the same address, and nothing of theirs is lost.
func TestDevicesAtWorkDoNotNoticeAbusers(t *testing.T) {
	working, length := scaled(15, 50), scaled(4*time.Second, time.Minute)
	data := t.TempDir()
	token := harness.CreateAPIKey(t, data, "ADMIN", "device:read", "device:write", "device:command")
	p := harness.Start(t, "serve", "--addr", "127.0.0.1:0", "--data", data)
	addr := p.MQTTAddr(t)
	f := startFleet(t, p, token, working, func(int) func() string { return func() string { return addr } })
	path := filepath.Join(t.TempDir(), "abusers.json")
	registerAbusers(t, p, token, path)
	during := func(length time.Duration) phase { return f.observe(t, p, token, data, length) }
	during(length / 4) // warm caches
	quiet := during(length)
	t.Logf("quiet: %v", quiet)
	stop := startAbusers(t, path, addr)
	abused := during(length)
	stop()
	t.Logf("abused: %v", abused)
	again := during(length)
	t.Logf("quiet again: %v", again)
	t.Logf("%d readings are stored", f.checkStored(t, p, token))
	for _, w := range f.workers {
		if w.joined != 1 {
			t.Errorf("%s connected %d times", w.ID, w.joined)
		}
	}
	if grown := abused.resident - quiet.resident; grown > 100<<20 {
		t.Errorf("the memory grows by %d MiB", grown>>20)
	}
	if beyond := abused.disk - (quiet.disk+again.disk)/2; beyond > 64<<20 {
		t.Errorf("the disk grows by %d MiB beyond what the devices at work store", beyond>>20)
	}
	slack := scaled(5*time.Second, 50*time.Millisecond) // in CI other tests run beside
	if bar := max(2*max(quiet.puback, again.puback), slack); abused.puback > bar {
		t.Errorf("PUBACK p99 is %v, the bar is %v", abused.puback, bar)
	}
	if bar := max(2*max(quiet.command, again.command), slack); abused.command > bar {
		t.Errorf("command p99 is %v, the bar is %v", abused.command, bar)
	}
}

// observe lets the fleet work for a time: a reading each second and a command every two a device.
func (f *fleet) observe(t *testing.T, p *harness.Program, token, data string, length time.Duration) phase {
	t.Helper()
	began, until := time.Now(), time.Now().Add(length)
	disk, processor := folderSize(t, data), processorTime(t, p)
	commands := &commander{sent: map[string]sentCommand{}}
	for _, w := range f.workers {
		f.running.Go(func() { w.work(f.ctx, time.Second, until) })
	}
	var got phase
	done := make(chan struct{})
	go func() {
		defer close(done)
		for time.Now().Before(until) {
			got.resident = max(got.resident, residentSize(t, p))
			time.Sleep(200 * time.Millisecond) // between two samples
		}
	}()
	commands.run(p, token, f.workers, 2*time.Second, until)
	<-done
	got.command = percentile(commands.take(t, harness.Timeout), 0.99)
	f.awaitAcknowledged(t, harness.Timeout)
	got.puback = percentile(f.latencies(), 0.99)
	got.disk, got.seconds, got.processor = folderSize(t, data)-disk, time.Since(began).Seconds(), processorTime(t, p)-processor
	return got
}

// processorTime is the processor time of the program in seconds, from /proc; 0 where there is none.
func processorTime(t *testing.T, p *harness.Program) float64 {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var user, system float64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		t.Error(err)
	}
	return (user + system) / 100 // ticks a second
}

// residentSize is the memory of the program, from /proc; 0 where there is none.
func residentSize(t *testing.T, p *harness.Program) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kilobytes int64
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		t.Error(err)
	}
	return kilobytes << 10
}

func folderSize(t *testing.T, folder string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil //nolint:nilerr // a file may go meanwhile
		}
		if info, err := entry.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}
