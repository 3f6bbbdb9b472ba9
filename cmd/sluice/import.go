package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/sluicehq/sluice/app"
	"github.com/sluicehq/sluice/importer"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/config"
	"github.com/sluicehq/sluice/recordings"
)

type importCommand struct {
	Kind  string   `arg:"" enum:"trips,telemetry,observations,hydration,devices" help:"Kind of the rows: trips, telemetry, observations, hydration or devices."`
	Files []string `arg:"" name:"file" type:"existingfile" help:"GPX, CSV or JSON; telescope schedules (.sls); Fitbit water days."`

	Account    string            `help:"Owner of the rows: an account id, or in a demo a code such as alice. Without it trips and water belong to an account named Recordings."`
	Device     string            `help:"Vehicle or sensor of rows without one: its key, or a device id; by default the name of the file."`
	DeviceName string            `help:"Display name of devices in rows, such as 'Bus {key}'."`
	Key        string            `help:"Telemetry key of the readings."`
	Source     string            `help:"Name of the recorder of the rows."`
	Column     map[string]string `mapsep:"none" help:"Header of a value, such as latitude=Breite; repeatable."`
	TimeZone   string            `help:"Time zone of times without an offset, such as Europe/London; by default UTC."`
	Start      time.Time         `help:"Start of a track without any time, in RFC 3339."`
	Secrets    string            `placeholder:"FILE" help:"File for the ids and secrets of new devices, as CSV. It must not exist; secrets are not shown later."`
	Date       string            `help:"Day of water logs without one, as YYYY-MM-DD; by default today."`
	DateOrder  string            `enum:",DMY,MDY" default:"" help:"Order of dates such as 02/01/2026: DMY or MDY. Without it such dates are refused."`
	WaterUnit  string            `enum:"ml,floz,cup" default:"ml" help:"Unit of water logs: ml, floz (US fluid ounces) or cup (US)."`
	Strict     bool              `help:"Exit with an error when a row is bad. The good rows are imported all the same."`
	Site       string            `help:"Site of the observations."`
	Telescope  string            `help:"Telescope of the observations."`

	config.Config `embed:""`
}

// Run imports the files and prints a report.
func (c importCommand) Run(ctx context.Context) error {
	offline, err := app.OpenOffline(ctx, c.Config, newLogger(c.Config))
	if err != nil {
		return err
	}
	report, err := c.load(ctx, offline)
	if err == nil {
		err = offline.AwaitRelay(ctx)
	}
	printReport(os.Stdout, report)
	if c.Strict && err == nil && report.Bad > 0 {
		err = fmt.Errorf("%d rows are bad", report.Bad)
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return errors.Join(err, offline.Close(stop))
}

func (c importCommand) load(ctx context.Context, offline *app.Offline) (importer.Report, error) {
	kind := importer.Kind(c.Kind)
	options := importer.Options{
		Account: c.Account, Device: c.Device, DeviceName: c.DeviceName, Key: c.Key, Source: c.Source, Columns: c.Column,
		TimeZone: c.TimeZone, DateOrder: c.DateOrder, WaterUnit: c.WaterUnit, Start: c.Start, Date: c.Date, Site: c.Site, Telescope: c.Telescope, Progress: importer.NewBar(os.Stderr),
	}
	if owned := c.Kind == "trips" || c.Kind == "hydration"; owned && c.Account == "" {
		account, err := offline.EnsureOwn(ctx, "Recordings", caller.Member)
		if err != nil {
			return importer.Report{}, err
		}
		options.Account = account.ID
	}
	var secrets *secretsFile
	if c.Secrets != "" {
		var err error
		if secrets, err = openSecrets(c.Secrets); err != nil {
			return importer.Report{}, err
		}
		defer func() { _ = secrets.file.Close() }() // every row is flushed by append
		options.Secrets = secrets.write
	}
	files := make([]importer.File, len(c.Files))
	for i, path := range c.Files {
		files[i] = importer.OnDisk(path)
	}
	report, err := importer.Import(ctx, offline.Import(), kind, files, options)
	if err != nil && secrets != nil && secrets.written == 0 {
		_ = os.Remove(c.Secrets) // so that the next try can create it
	}
	return report, err
}

// maxFaults is the number of bad rows that the report prints.
const maxFaults = 20

func printReport(w io.Writer, report importer.Report) {
	for i, fault := range report.Faults {
		if i == maxFaults {
			fmt.Fprintf(w, "… and %d more bad rows\n", report.Bad-int64(maxFaults))
			break
		}
		fmt.Fprintf(w, "%s:%d: %s\n", fault.File, fault.Line, fault.Reason)
	}
	for _, file := range report.Files {
		if file.Rows == 0 && len(file.Assumptions) == 0 {
			continue // the error says why
		}
		updated := ""
		if file.Updated > 0 {
			updated = fmt.Sprintf(" %d updated,", file.Updated)
		}
		fmt.Fprintf(w, "%s: %d rows: %d new,%s %d there already, %d bad\n", file.Name, file.Rows, file.Stored, updated, file.Repeated, file.Bad)
		for _, why := range slices.Sorted(maps.Keys(file.Rejected)) {
			if n := file.Rejected[why]; n > 0 {
				fmt.Fprintf(w, "%s: %d of the new fixes are stored but do not count for the distance: %s\n", file.Name, n, why)
			}
		}
		for _, assumption := range file.Assumptions {
			fmt.Fprintf(w, "%s: %s\n", file.Name, assumption)
		}
	}
}

// secretsFile receives the secrets of new devices as CSV.
type secretsFile struct {
	file    *os.File
	rows    *csv.Writer
	written int // secrets
}

func openSecrets(path string) (*secretsFile, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create the file for secrets: %w", err)
	}
	s := &secretsFile{file: file, rows: csv.NewWriter(file)}
	return s, s.append([]string{"key", "name", "id", "secret"})
}

func (s *secretsFile) write(device recordings.Device, id, secret string) error {
	s.written++
	return s.append([]string{device.Key, device.Name, id, secret})
}

// append writes and flushes a row, since a secret is shown only once.
func (s *secretsFile) append(row []string) error {
	if err := s.rows.Write(row); err != nil {
		return err
	}
	s.rows.Flush()
	return s.rows.Error()
}
