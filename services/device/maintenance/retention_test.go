package maintenance_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/retention"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/command"
	"github.com/sluicehq/sluice/services/device/devicetest"
	"github.com/sluicehq/sluice/services/device/maintenance"
	"github.com/sluicehq/sluice/services/device/telemetry"
)

const day = 24 * time.Hour

// Rows stay for their TTL and are deleted after it; open commands stay.
func TestRetentionExpiredRowsAreDeleted(t *testing.T) {
	t.Parallel()
	s := devicetest.Open(t)
	d := s.Register(t, device.Gateway)
	rolled := 0
	sweeper := retention.New(s.Clock, slog.New(slog.DiscardHandler), maintenance.RetentionTasks(s.Store, maintenance.RetentionPolicy{
		Raw: 2 * day, Step: 5 * time.Minute, Rolled: 10 * day, Commands: 90 * day, Events: 365 * day, Calls: 30 * day,
	}, func(n int) { rolled += n })...)
	over, open := s.Send(t, command.SendInput{DeviceID: d.ID}), s.Send(t, command.SendInput{DeviceID: d.ID})
	s.Hear(t, d.ID, device.UpCommandLog, `{"id":%q,"text":"going down"}`, over.ID)
	s.Hear(t, d.ID, device.UpCommandResult, `{"id":%q,"ok":true}`, over.ID)
	s.Hear(t, d.ID, device.UpTelemetry, `{"t":1}`)
	for _, c := range []struct {
		after                           time.Duration
		commands, lines, events, series int
	}{
		{0, 2, 1, 1, 1},
		{9 * day, 2, 1, 1, 1},
		{89 * day, 2, 1, 1, 0},
		{91 * day, 1, 0, 1, 0},
		{366 * day, 1, 0, 0, 0},
	} {
		s.Clock.Advance(devicetest.Start().Add(c.after).Sub(s.Clock.Now()))
		sweeper.Sweep(t.Context())
		commands, err := s.Store.GetCommands(t.Context(), []string{over.ID, open.ID}, nil)
		if err != nil || len(commands) != c.commands {
			t.Errorf("after %v: %d commands, %v", c.after, len(commands), err)
		}
		lines, err := s.Store.CommandLogs(t.Context(), []string{over.ID}, 10)
		if err != nil || len(lines) != c.lines {
			t.Errorf("after %v: %d lines, %v", c.after, len(lines), err)
		}
		if events := s.Events(t, d.ID); len(events) != c.events {
			t.Errorf("after %v: %d events", c.after, len(events))
		}
		q := telemetry.Query{DeviceIDs: []string{d.ID}, Keys: []string{"t"}, From: devicetest.Start().Add(-day), To: devicetest.Start().Add(day), Step: time.Hour, Aggregate: telemetry.Count}
		series, err := s.Store.Query(t.Context(), q)
		if err != nil || len(series) != c.series {
			t.Errorf("after %v: %+v, %v", c.after, series, err)
		}
	}
	if rolled != 1 {
		t.Errorf("%d readings were rolled up", rolled)
	}
}
