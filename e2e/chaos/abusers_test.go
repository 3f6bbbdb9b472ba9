package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/e2e/harness"
)

// abusersVariable names the file with the abusers that a process of this test binary runs, so that they do not take
// the time of the process that measures.
const abusersVariable = "SLUICE_CHAOS_ABUSERS"

// abuser misbehaves with the device until its process ends.
type abuser func(a *attack)

// attack is one abuser at its target.
type attack struct {
	harness.Device
	addr string
}

func (a *attack) topic(name string) string { return "devices/" + a.ID + "/" + name }

// dial connects and writes; nil when the server has closed.
func (a *attack) dial(first []byte) net.Conn {
	conn, err := net.DialTimeout("tcp", a.addr, 5*time.Second)
	if err != nil {
		time.Sleep(10 * time.Millisecond) // the queue of the listener is full
		return nil
	}
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write(first) // what is refused is refused
	return conn
}

// repeat writes packets to a connection without end, and discards what it is sent.
func (a *attack) repeat(first []byte, pause time.Duration, next func(i int) []byte) {
	for i := 0; ; {
		conn := a.dial(first)
		if conn == nil {
			continue
		}
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		for {
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
			var burst []byte
			for range 10 {
				i++
				burst = append(burst, next(i)...)
			}
			if _, err := conn.Write(burst); err != nil {
				_ = conn.Close()
				break
			}
			time.Sleep(pause) // the rate of the attack
		}
	}
}

// connects connects in a loop, and leaves after the answer.
func (a *attack) connects(first func(i int) []byte) {
	for i := 0; ; i++ {
		if conn := a.dial(first(i)); conn != nil {
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}
}

// hold opens connections, and opens those again that end.
func (a *attack) hold(n int, first func(i int) []byte) {
	for i := range n {
		go func() {
			for {
				if conn := a.dial(first(i)); conn != nil {
					_ = conn.SetReadDeadline(time.Time{})
					_, _ = io.Copy(io.Discard, conn)
					_ = conn.Close()
				}
				time.Sleep(time.Second/2 + rand.N(time.Second)) // the rate of the attack
			}
		}()
	}
	select {}
}

func (a *attack) connect() []byte { return connectPacket(4, 2, a.ID, a.ID, a.Secret) }

func packetID(i int) uint16 { return uint16(i%60_000 + 1) }

func flood(name, payload string) abuser {
	return func(a *attack) {
		a.repeat(a.connect(), 0, func(i int) []byte { return publishPacket(1, packetID(i), a.topic(name), payload) })
	}
}

// abusers are those of the promise, one of each.
func abusers() map[string]abuser {
	return map[string]abuser{
		"session hog with a flood": func(a *attack) {
			for i := range 20 {
				go a.repeat(connectPacket(4, 0, fmt.Sprint(a.ID, "-", i), a.ID, a.Secret), 0, func(n int) []byte {
					return append(subscribePacket(packetID(n), a.topic("#")), publishPacket(1, packetID(n), a.topic("telemetry"), `{"t": 1}`)...)
				})
			}
			a.connects(func(i int) []byte { return connectPacket(4, 0, fmt.Sprint(a.ID, "-session-", i), a.ID, a.Secret) })
		},
		"quality 2": func(a *attack) {
			a.repeat(a.connect(), 0, func(i int) []byte {
				return publishPacket(2, packetID(i), a.topic("telemetry"), strings.Repeat(" ", 1000))
			})
		},
		"2000 connections": func(a *attack) {
			go a.hold(1000, func(int) []byte { return nil })
			a.hold(1000, func(i int) []byte { return connectPacket(4, 2, fmt.Sprint(a.ID, "-", i), a.ID, a.Secret) })
		},
		"packets of 1 MiB": func(a *attack) {
			large := packet(0x32, text(a.topic("state")), []byte{0, 1}, make([]byte, 1<<20))
			a.repeat(a.connect(), 0, func(int) []byte { return large })
		},
		"wildcards": func(a *attack) {
			a.repeat(a.connect(), 0, func(i int) []byte {
				return subscribePacket(packetID(i), []string{"#", "devices/+/#", a.topic(fmt.Sprint(i, "/#"))}[i%3])
			})
		},
		"wrong secrets": func(a *attack) {
			for range 20 {
				go a.connects(func(int) []byte { return connectPacket(4, 2, a.ID, a.ID, "wrong") })
			}
			select {}
		},
		"unknown topics": func(a *attack) {
			a.repeat(a.connect(), 2*time.Millisecond, func(i int) []byte { return publishPacket(1, packetID(i), a.topic(fmt.Sprint("weather", i)), "{}") })
		},
		"state":   flood("state", `{"cpu": 1, "text": "`+strings.Repeat("x", 500)+`"}`),
		"events":  flood("events", `{"type": "X", "data": {"text": "`+strings.Repeat("x", 500)+`"}}`),
		"logs":    flood("commands/log", `{"id": "command_01hzzzzzzzzzzzzzzzzzzzzzzz", "text": "`+strings.Repeat("x", 500)+`"}`),
		"reports": flood("config/reported", `{"version": 0, "reported": {"text": "`+strings.Repeat("x", 500)+`"}}`),
		"will and reconnect": func(a *attack) {
			a.connects(func(int) []byte {
				return packet(0x10, text("MQTT"), []byte{4, 0xCE, 0, 60}, text(a.ID), text(a.topic("events")), text(`{"type": "W"}`), text(a.ID), text(a.Secret))
			})
		},
		"a subscriber that never reads": func(a *attack) {
			for {
				conn := a.dial(append(a.connect(), subscribePacket(1, a.topic("#"))...))
				if conn == nil {
					continue
				}
				for i := 1; ; i++ {
					_ = conn.SetWriteDeadline(time.Now().Add(15 * time.Second))
					if _, err := conn.Write(append(publishPacket(1, packetID(i), a.topic("state"), "no"), 0xC0, 0)); err != nil {
						_ = conn.Close()
						break
					}
				}
			}
		},
		"half packets": func(a *attack) {
			go a.hold(200, func(int) []byte { return []byte{0x10, 0x40, 0, 4, 'M'} })
			a.hold(4, func(i int) []byte {
				return append(connectPacket(4, 2, fmt.Sprint(a.ID, "-", i), a.ID, a.Secret), 0x32, 0x80, 0x80, 0x04, 0, 9)
			})
		},
		"malformed packets": func(a *attack) {
			bad := [][]byte{{0x82, 5, 0, 1, 0, 0, 0}, {0x32, 7, 0, 1, 'a', 0, 1, 0x7F, 1}, {0xF0, 0}, {0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F}, {0x82, 3, 0, 1, 0}}
			a.connects(func(i int) []byte { return append(connectPacket(5, 2, a.ID, a.ID, a.Secret), bad[i%len(bad)]...) })
		},
	}
}

// abuse runs the abusers of the file until standard input ends.
func abuse(path string) int {
	content, err := os.ReadFile(path)
	var attacks map[string]harness.Device
	if err == nil {
		err = json.Unmarshal(content, &attacks)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 10) // real abusers do not share the processors of the server
	for name, device := range attacks {
		go abusers()[name](&attack{Device: device, addr: os.Getenv(abusersVariable + "_ADDR")})
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// startAbusers runs the abusers until stop.
func startAbusers(t *testing.T, path, addr string) (stop func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), abusersVariable+"="+path, abusersVariable+"_ADDR="+addr)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = input.Close()
		_ = cmd.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// registerAbusers writes the file of the abusers. SLUICE_CHAOS_ONLY names some of them, separated by commas.
func registerAbusers(t *testing.T, p *harness.Program, token, path string) {
	t.Helper()
	only := os.Getenv("SLUICE_CHAOS_ONLY")
	devices := map[string]harness.Device{}
	for name := range abusers() {
		if only == "" || strings.Contains(","+only+",", ","+name+",") {
			devices[name] = p.RegisterDevice(t, token, "SENSOR")
		}
	}
	content, err := json.Marshal(devices)
	if err == nil {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
