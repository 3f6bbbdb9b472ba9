package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sluicehq/sluice/simulate"
)

type simulateCommand struct {
	URL      string        `default:"http://127.0.0.1:8080" help:"URL of the gateway."`
	MQTT     string        `name:"mqtt" default:"127.0.0.1:1883" help:"Address of the device listener, as host:port."`
	APIKey   string        `help:"API key with device:read and device:write; without one, it signs in as the demo's administrator."`
	Devices  int           `default:"100" help:"Number of devices."`
	Rate     float64       `default:"1000" help:"Readings per second of all devices together."`
	Batch    int           `default:"10" help:"Readings per message."`
	Duration time.Duration `default:"30s" help:"Time for which devices send."`
	Readers  int           `default:"2" help:"Number of concurrent dashboard queries while devices send."`
	Keep     bool          `help:"Do not delete the simulated devices at the end."`
}

// Run simulates the devices and prints a report. Lost readings are an error.
func (c simulateCommand) Run(ctx context.Context) error {
	report, err := simulate.Run(ctx, simulate.Options{
		URL: c.URL, MQTT: c.MQTT, APIKey: c.APIKey, Devices: c.Devices, Rate: c.Rate, Batch: c.Batch,
		Duration: c.Duration, Readers: c.Readers, Keep: c.Keep, Progress: os.Stderr,
	})
	if err != nil {
		return err
	}
	printSimulation(os.Stdout, report)
	if report.Stored < report.Acknowledged {
		return fmt.Errorf("%d readings were acknowledged and are not there", report.Acknowledged-report.Stored)
	}
	return nil
}

func printSimulation(w io.Writer, r simulate.Report) {
	seconds := r.Took.Seconds()
	fmt.Fprintf(w, "connected      %d at the end, %d connections lost\n", r.Connected, r.Lost)
	fmt.Fprintf(w, "sent           %d readings in %.1f s: %.0f a second\n", r.Sent, seconds, float64(r.Sent)/seconds)
	fmt.Fprintf(w, "acknowledged   %d readings in %d messages: %.0f readings a second\n", r.Acknowledged, r.Messages, float64(r.Acknowledged)/seconds)
	fmt.Fprintf(w, "stored         %d readings, %v after the last acknowledgement\n", r.Stored, r.StoredAfter.Round(time.Millisecond))
	printLatencies(w, "acknowledging ", r.Acknowledging)
	printLatencies(w, "dashboards    ", r.Asking)
	fmt.Fprintf(w, "wrong answers  %d\n", r.QuestionsWrong)
}

func printLatencies(w io.Writer, what string, l simulate.Latencies) {
	fmt.Fprintf(w, "%s median %v, p99 %v, max %v of %d\n", what,
		l.Median.Round(time.Microsecond), l.P99.Round(time.Microsecond), l.Max.Round(time.Microsecond), l.N)
}
