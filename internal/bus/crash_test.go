package bus_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/bus"
)

// childFolder, in the environment, makes this test binary the process that is killed.
const childFolder = "SLUICE_BUS_TEST_CHILD"

// publishUntilKilled prints the number of each message as soon as it is acknowledged.
func publishUntilKilled(dir string) {
	ctx := context.Background()
	b, err := bus.Open(ctx, bus.Options{StoreDir: dir})
	for i := 0; err == nil; i++ {
		if err = b.Publish(ctx, numbered(i)); err == nil {
			_, err = fmt.Println(i)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func numbered(i int) bus.Message {
	return bus.Message{
		Subject: fmt.Sprintf("event.trip.changed.trip_%d", i), ID: fmt.Sprintf("event_%d", i),
		Data: []byte(strings.Repeat("x", i%512)),
	}
}

// killedAfter runs a publisher on dir, kills it after so many acknowledgements, and counts them.
func killedAfter(t *testing.T, dir string, least int) (acknowledged int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childFolder+"="+dir)
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if acknowledged++; acknowledged == least {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || acknowledged < least {
		t.Fatalf("the publisher ended by itself after %d messages: %v", acknowledged, err)
	}
	return acknowledged
}

func TestWhatWasAcknowledgedSurvivesKill9(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round, least := range []int{1, 300, 999} {
		acknowledged := killedAfter(t, dir, least)
		b, err := bus.Open(t.Context(), bus.Options{StoreDir: dir})
		if err != nil {
			t.Fatalf("open after kill %d: %v", round, err)
		}
		stored := streamInfo(t, b, bus.Events).State.LastSeq
		checkNumbered(t, b, acknowledged)
		for i := range acknowledged {
			publish(t, b, numbered(i))
		}
		if now := streamInfo(t, b, bus.Events).State.LastSeq; now != stored {
			t.Errorf("kill %d: the stream has forgotten ids: it went from %d to %d", round, stored, now)
		}
		closeBus(t, b)
	}
}

// checkNumbered looks at each message by its place.
func checkNumbered(t *testing.T, b *bus.Bus, n int) {
	t.Helper()
	stream, err := b.JetStream().Stream(t.Context(), bus.Events)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		got, err := stream.GetMsg(t.Context(), uint64(i)+1)
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		want := numbered(i)
		if got.Subject != want.Subject || string(got.Data) != string(want.Data) {
			t.Fatalf("message %d is %s with %d bytes", i, got.Subject, len(got.Data))
		}
	}
}
