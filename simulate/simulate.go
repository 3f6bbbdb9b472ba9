// Package simulate runs MQTT clients against a running Sluice: many devices replay a recording at a given rate, while
// dashboards send queries. It uses only MQTT and GraphQL, so the report is the view from outside: readings that were
// sent, acknowledged, and in the API. A failure of the set-up ends the simulation; later failures are counted.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options configure a simulation. Only the credentials of the API are optional.
type Options struct {
	URL      string // of the API: http://127.0.0.1:8080
	MQTT     string // host:port
	APIKey   string // "": sign in as the demo's administrator
	Devices  int
	Rate     float64       // readings per second of all devices together
	Batch    int           // readings per message
	Duration time.Duration // of sending
	Readers  int           // concurrent dashboard queries while devices send
	Keep     bool          // do not delete the devices at the end

	Progress io.Writer
}

// Report is the result of a simulation.
type Report struct {
	Connected      int           // connected devices at the end
	Lost           int64         // connections that were lost
	Sent           int64         // readings
	Acknowledged   int64         // readings in acknowledged messages
	Stored         int64         // readings in the API
	Messages       int64         // acknowledged messages
	Took           time.Duration // from the first message to the last acknowledgement
	StoredAfter    time.Duration // from the last acknowledgement until all were in the API
	Acknowledging  Latencies     // from a message to its acknowledgement
	Asking         Latencies     // of dashboard queries
	QuestionsWrong int64         // dashboard queries with an error
}

// concurrent connections or registrations
const (
	connecting  = 64
	settleEvery = 500 * time.Millisecond
	settleLimit = 2 * time.Minute // for acknowledged readings to appear in the API
)

// Run simulates until the end of the duration or of ctx.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.check(); err != nil {
		return Report{}, err
	}
	values, err := recording()
	if err != nil {
		return Report{}, err
	}
	api, err := dial(ctx, o)
	if err != nil {
		return Report{}, err
	}
	s := &simulation{options: o, api: api, values: values}
	fmt.Fprintf(o.Progress, "registering %d devices\n", o.Devices)
	if s.devices, err = api.register(ctx, o.Devices); err != nil {
		return Report{}, errors.Join(err, s.cleanUp(ctx))
	}
	report, err := s.run(ctx)
	return report, errors.Join(err, s.cleanUp(ctx))
}

func (o Options) check() error {
	if o.Devices < 1 || o.Batch < 1 || o.Rate <= 0 || o.Duration <= 0 || o.Readers < 0 {
		return errors.New("devices, rate, batch and duration must be more than 0")
	}
	if o.Batch > maxBatch {
		return fmt.Errorf("a message takes at most %d readings", maxBatch)
	}
	return nil
}

// removeLimit is the timeout for deleting a device: a broadcast to all brokers finds its connections, and the
// number of brokers is unknown.
const removeLimit = 500 * time.Millisecond

// maxBatch limits the payload of a message to 64 KiB.
const maxBatch = 1_000

type simulation struct {
	options Options
	api     *api
	values  []float64
	devices []*device

	sent, acknowledged, messages, lost, wrong atomic.Int64
	acknowledging, asking                     latencies
}

func (s *simulation) run(ctx context.Context) (Report, error) {
	defer s.disconnect()
	if err := s.connect(ctx); err != nil {
		return Report{}, err
	}
	fmt.Fprintf(s.options.Progress, "%d devices are connected; sending for %v\n", len(s.devices), s.options.Duration)
	took, err := s.send(ctx)
	if err != nil {
		return Report{}, err
	}
	waited := time.Now()
	stored, err := s.settle(ctx)
	return Report{
		Connected: s.connected(), Lost: s.lost.Load(), Sent: s.sent.Load(), Acknowledged: s.acknowledged.Load(), Stored: stored,
		Messages: s.messages.Load(), Took: took, StoredAfter: time.Since(waited),
		Acknowledging: s.acknowledging.summary(), Asking: s.asking.summary(), QuestionsWrong: s.wrong.Load(),
	}, err
}

func (s *simulation) connect(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(connecting)
	for _, d := range s.devices {
		group.Go(func() error { return d.connect(ctx, s.options.MQTT, func() { s.lost.Add(1) }) })
	}
	return group.Wait()
}

func (s *simulation) connected() int {
	n := 0
	for _, d := range s.devices {
		if d.client.IsConnected() {
			n++
		}
	}
	return n
}

func (s *simulation) disconnect() {
	var all sync.WaitGroup
	for _, d := range s.devices {
		all.Go(d.disconnect)
	}
	all.Wait()
}

// send lets all devices send, and returns the time until the last acknowledgement.
func (s *simulation) send(ctx context.Context) (time.Duration, error) {
	reading, stop := context.WithCancel(ctx)
	var readers sync.WaitGroup
	for range s.options.Readers {
		readers.Go(func() { s.read(reading) })
	}
	defer readers.Wait()
	defer stop()
	begun := time.Now()
	group, sending := errgroup.WithContext(ctx)
	every := time.Duration(float64(len(s.devices)*s.options.Batch) / s.options.Rate * float64(time.Second))
	for i, d := range s.devices {
		offset := every * time.Duration(i) / time.Duration(len(s.devices)) // spreads the devices over time
		group.Go(func() error { return s.replay(sending, d, begun.Add(offset), every) })
	}
	err := group.Wait()
	return time.Since(begun), err
}

// replay sends the recording from a device, message by message at the rate, until the end of the duration.
// Then it waits for the acknowledgements.
func (s *simulation) replay(ctx context.Context, d *device, first time.Time, every time.Duration) error {
	end := first.Add(s.options.Duration)
	for n, due := 0, first; due.Before(end); n, due = n+1, due.Add(every) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(due)):
		}
		if time.Now().After(end) {
			break // slower than the rate: the report shows it
		}
		payload := d.message(s.values, n*s.options.Batch, s.options.Batch, time.Now())
		s.sent.Add(int64(s.options.Batch))
		sent := time.Now()
		if err := d.send(ctx, payload, func() {
			s.acknowledging.add(time.Since(sent))
			s.acknowledged.Add(int64(s.options.Batch))
			s.messages.Add(1)
		}); err != nil {
			return err
		}
	}
	return d.wait(ctx)
}

func (s *simulation) read(ctx context.Context) {
	for ctx.Err() == nil {
		asked := time.Now()
		if err := s.api.dashboard(ctx); err != nil && ctx.Err() == nil {
			s.wrong.Add(1)
		}
		s.asking.add(time.Since(asked))
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// settle waits until all acknowledged readings are in the API, or their number no longer grows.
func (s *simulation) settle(ctx context.Context) (int64, error) {
	fmt.Fprintf(s.options.Progress, "counting what is stored\n")
	deadline := time.Now().Add(settleLimit)
	for {
		stored, err := s.api.count(ctx, s.devices)
		if err != nil || stored >= s.acknowledged.Load() || time.Now().After(deadline) {
			return stored, err
		}
		select {
		case <-ctx.Done():
			return stored, ctx.Err()
		case <-time.After(settleEvery):
		}
	}
}

func (s *simulation) cleanUp(ctx context.Context) error {
	if s.options.Keep {
		return nil
	}
	limit := time.Minute + time.Duration(len(s.devices))*removeLimit
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	return s.api.remove(ctx, s.devices)
}
