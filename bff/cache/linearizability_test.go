package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/testserver"
)

// register is the name of a device for porcupine: a read returns the last write.
type register struct {
	id    string
	write string // "" for a read
}

func registers() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byID := map[string][]porcupine.Operation{}
			for _, op := range history {
				id := op.Input.(register).id
				byID[id] = append(byID[id], op)
			}
			var parts [][]porcupine.Operation
			for _, part := range byID {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() any { return "initial" },
		Step: func(state, input, output any) (bool, any) {
			if in := input.(register); in.write != "" {
				return true, in.write
			}
			return state == output, state
		},
		DescribeOperation: func(input, output any) string {
			if in := input.(register); in.write != "" {
				return fmt.Sprintf("%s := %s", in.id, in.write)
			}
			return fmt.Sprintf("%s is %v", input.(register).id, output)
		},
	}
}

// crowd is clients of several gateways that read and write a few devices at random.
type crowd struct {
	gateways []bff.Devices
	ids      []string
	duration time.Duration

	began   time.Time
	mu      sync.Mutex
	history []porcupine.Operation
}

func (c *crowd) run(t *testing.T, clients int) {
	t.Helper()
	c.began = time.Now()
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			who := operator()
			if n%2 == 1 { // entries of an API key are private
				who.APIKeyID = fmt.Sprint("apikey_", n%4)
			}
			ctx := caller.NewContext(context.Background(), who)
			dice := rand.New(rand.NewPCG(uint64(n), uint64(time.Now().UnixNano())))
			for i := 0; time.Since(c.began) < c.duration; i++ {
				if err := c.step(ctx, n, fmt.Sprintf("%d.%d", n, i), dice); err != nil {
					t.Errorf("client %d: %v", n, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func (c *crowd) step(ctx context.Context, client int, name string, dice *rand.Rand) error {
	gateway, id := c.gateways[dice.IntN(len(c.gateways))], c.ids[dice.IntN(len(c.ids))]
	op := porcupine.Operation{ClientId: client, Input: register{id: id}, Call: int64(time.Since(c.began))}
	if dice.IntN(20) == 0 {
		op.Input = register{id, name}
		if _, err := gateway.UpdateDevice(ctx, bff.UpdateDeviceInput{ID: id, Name: &name}); err != nil {
			return err
		}
	} else {
		found, err := gateway.GetDevices(ctx, []string{id})
		if err != nil {
			return err
		}
		op.Output = found[0].Name
	}
	op.Return = int64(time.Since(c.began))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history = append(c.history, op)
	return nil
}

// delays lets the service wait for a random time before and after its work.
func delays(s *service) {
	wait := func(string) {
		if rand.IntN(3) > 0 {
			<-time.After(rand.N(3 * time.Millisecond))
		}
	}
	s.before, s.between = wait, wait
}

// restarts kills and starts Redis at random times until the channel is closed.
func restarts(t *testing.T, server *testserver.Redis, stop <-chan struct{}) (times int) {
	for {
		select {
		case <-stop:
			return times
		case <-time.After(writeTime + recoveryTime + rand.N(1500*time.Millisecond)): // so that it is used between two restarts
		}
		server.Kill(t)
		<-time.After(rand.N(30 * time.Millisecond))
		server.Start(t)
		times++
	}
}

// Two gateways with a Redis that is killed at random are linearizable: each read returns the last write through either.
func TestReadsAndWritesThroughTwoGatewaysAreLinearizable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name           string
		ignoreVersions bool
	}{{"no violation", false}, {"a violation without comparing versions", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := testserver.StartRedis(t)
			s := newService("a", "b", "c", "d", "e")
			one := openGateway(t, s, server, func(o *Options) { o.ignoreVersions = c.ignoreVersions })
			other := openGateway(t, s, server, func(o *Options) { o.ignoreVersions = c.ignoreVersions })
			delays(s)
			crowd := &crowd{gateways: []bff.Devices{one, other}, ids: []string{"a", "b", "c", "d", "e"}, duration: duration()}
			stop := make(chan struct{})
			var killed atomic.Int64
			var killer sync.WaitGroup
			killer.Go(func() { killed.Store(int64(restarts(t, server, stop))) })
			crowd.run(t, 8)
			close(stop)
			killer.Wait()
			result, _ := porcupine.CheckOperationsVerbose(registers(), crowd.history, 2*time.Minute)
			found := counter(t, one.metrics.reads.WithLabelValues("Devices.GetDevices", outcomeMemory)) +
				counter(t, one.metrics.reads.WithLabelValues("Devices.GetDevices", outcomeRedis))
			t.Logf("%d operations, Redis killed %d times; the first gateway had %v hits", len(crowd.history), killed.Load(), found)
			if found == 0 || killed.Load() == 0 {
				t.Error("the cache was not used, or Redis not killed: this proves nothing")
			}
			if want := map[bool]porcupine.CheckResult{false: porcupine.Ok, true: porcupine.Illegal}[c.ignoreVersions]; result != want {
				t.Errorf("porcupine says %v, want %v", result, want)
			}
		})
	}
}

// duration returns how long the crowd runs; an environment variable extends it.
func duration() time.Duration {
	if long, err := time.ParseDuration(os.Getenv("SLUICE_TEST_LONG")); err == nil {
		return long
	}
	return 9 * time.Second
}
