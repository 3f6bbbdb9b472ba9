package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sluicehq/sluice/app"
	"github.com/sluicehq/sluice/importer"
	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/config"
	"github.com/sluicehq/sluice/recordings"
)

type importCommand struct {
	Kind  string   `arg:"" enum:"trips,telemetry,observations,hydration,devices" help:"What the files hold: trips, telemetry, observations, hydration or devices."`
	Files []string `arg:"" name:"file" type:"existingfile" help:"GPX, CSV or JSON; telescope schedules (.sls); Fitbit water days."`

	Account    string            `help:"Whose the rows are: an account id, or in a demo a code such as alice. Without it trips and water belong to an account named Recordings."`
	Device     string            `help:"Vehicle or sensor of rows that name none: its key, or a device id. The file's name when left out."`
	DeviceName string            `help:"How devices that rows name are called, as in 'Bus {key}'."`
	Key        string            `help:"What readings are kept under."`
	Source     string            `help:"What recorded the rows."`
	Column     map[string]string `mapsep:"none" help:"Header of a value, as in latitude=Breite; may be given again."`
	TimeZone   string            `help:"Where times without an offset were written down, as in Europe/London; UTC when left out."`
	Start      time.Time         `help:"When a track without any time began: RFC 3339."`
	Secrets    string            `placeholder:"FILE" help:"Where the ids and secrets of devices that are new are written as CSV, this once; the file must not exist."`
	Date       string            `help:"Day of water logs that tell none: YYYY-MM-DD; today when left out."`
	Site       string            `help:"Where observations were made."`
	Telescope  string            `help:"What observations were made with."`

	config.Config `embed:""`
}

// Run brings the files in and reports on them.
func (c importCommand) Run(ctx context.Context) error {
	offline, err := app.OpenOffline(ctx, c.Config, newLogger(c.Config))
	if err != nil {
		return err
	}
	report, err := c.load(ctx, offline)
	tell(os.Stdout, report)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return errors.Join(err, offline.Close(stop))
}

func (c importCommand) load(ctx context.Context, offline *app.Offline) (importer.Report, error) {
	kind := importer.Kind(c.Kind)
	options := importer.Options{
		Account: c.Account, Device: c.Device, DeviceName: c.DeviceName, Key: c.Key, Source: c.Source, Columns: c.Column,
		TimeZone: c.TimeZone, Start: c.Start, Date: c.Date, Site: c.Site, Telescope: c.Telescope, Progress: importer.NewBar(os.Stderr),
	}
	if owned := c.Kind == "trips" || c.Kind == "hydration"; owned && c.Account == "" {
		account, err := offline.EnsureOwn(ctx, "Recordings", caller.Member)
		if err != nil {
			return importer.Report{}, err
		}
		options.Account = account.ID
	}
	if c.Secrets != "" {
		secrets, err := openSecrets(c.Secrets)
		if err != nil {
			return importer.Report{}, err
		}
		defer func() { _ = secrets.file.Close() }() // every row was written
		options.Secrets = secrets.write
	}
	files := make([]importer.File, len(c.Files))
	for i, path := range c.Files {
		files[i] = importer.OnDisk(path)
	}
	return importer.Import(ctx, offline.Import(), kind, files, options)
}

// maxFaults is how many bad rows are shown.
const maxFaults = 20

// tell says what became of every row.
func tell(w io.Writer, report importer.Report) {
	for i, fault := range report.Faults {
		if i == maxFaults {
			fmt.Fprintf(w, "… and %d more bad rows\n", report.Bad-int64(maxFaults))
			break
		}
		fmt.Fprintf(w, "%s:%d: %s\n", fault.File, fault.Line, fault.Reason)
	}
	for _, file := range report.Files {
		fmt.Fprintf(w, "%s: %d rows: %d new, %d there already, %d bad\n", file.Name, file.Rows, file.Stored, file.Repeated, file.Bad)
	}
}

// secretsFile takes the secrets of new devices.
type secretsFile struct {
	file *os.File
	rows *csv.Writer
}

// openSecrets makes the file, readable by its owner alone.
func openSecrets(path string) (*secretsFile, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the file for secrets: %w", err)
	}
	s := &secretsFile{file: file, rows: csv.NewWriter(file)}
	return s, s.keep([]string{"key", "name", "id", "secret"})
}

func (s *secretsFile) write(device recordings.Device, id, secret string) error {
	return s.keep([]string{device.Key, device.Name, id, secret})
}

// keep writes a row at once, since a secret is told once.
func (s *secretsFile) keep(row []string) error {
	if err := s.rows.Write(row); err != nil {
		return err
	}
	s.rows.Flush()
	return s.rows.Error()
}
