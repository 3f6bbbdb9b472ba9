// Package importer imports recordings into the services: trips, telemetry, observations, water logs and inventories
// of devices, from all files that package recordings can read.
//
// Imports are idempotent: the identity of a row in its source is derived from the row, so a second import of the same
// file, complete or truncated, adds only missing rows. A bad row does not affect the others: it is a Fault with its
// line and reason. Of a truncated file the rows before the end are imported, and the error says so. Memory is
// bounded: at most 20,000 rows are buffered, and 32 bytes per trip, up to a million trips per file. It calls the
// services as the system, so it is for operators only.
package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
)

// Kind is the kind of the rows of a file.
type Kind string

// The kinds.
const (
	KindTrips        Kind = "trips"
	KindTelemetry    Kind = "telemetry"
	KindObservations Kind = "observations"
	KindHydration    Kind = "hydration"
	KindDevices      Kind = "devices"
)

// Kinds lists all kinds.
func Kinds() []Kind {
	return []Kind{KindTrips, KindTelemetry, KindObservations, KindHydration, KindDevices}
}

// Import imports files of one kind serially, and reports on every row. The error joins the errors of files:
// unreadable, truncated, or without a valid row; the other files are imported. Invalid options and a failing service
// are an *errs.Error and end the import immediately. The report is valid also with an error.
func Import(ctx context.Context, services Services, kind Kind, files []File, options Options) (Report, error) {
	var report Report
	s, err := settle(kind, options)
	if err != nil {
		return report, err
	}
	ctx = caller.NewContext(ctx, caller.OfSystem())
	accountID, err := s.findAccount(ctx, services)
	if err != nil {
		return report, err
	}
	if err := s.checkDevice(ctx, services); err != nil {
		return report, err
	}
	var failures []error
	for _, file := range files {
		in := &intake{settled: s, services: services, accountID: accountID, file: file, report: &report}
		var assumptions []string
		in.read.Assume = func(assumption string) { assumptions = append(assumptions, assumption) }
		err := in.run(ctx)
		report.Files = append(report.Files, FileReport{Name: file.Name, Counts: in.Counts, Rejected: in.rejected, Assumptions: assumptions})
		report.Counts.add(in.Counts)
		if ofService(err) {
			return report, err
		}
		if err != nil {
			failures = append(failures, err)
		}
	}
	return report, errors.Join(failures...)
}

// ofService reports whether an error is of a service, and not of a file: only the former are *errs.Error.
func ofService(err error) bool {
	_, ok := errors.AsType[*errs.Error](err)
	return ok
}

// intake is the import of one file.
type intake struct {
	settled
	Counts
	services  Services
	accountID string // "" for public rows
	file      File
	report    *Report          // receives the faults
	rejected  map[string]int64 // stored fixes that do not count for the distance, by reason
	empty     int64            // rows that state nothing
	today     bool             // logs without a date are assumed to be of today
}

func (in *intake) run(ctx context.Context) error {
	r, err := in.file.open(in.Progress)
	if err != nil {
		return err
	}
	err = in.rows(ctx, r)
	in.countRejected()
	if closeErr := r.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("%s: %w", in.file.Name, closeErr)
	}
	good := in.Stored + in.Updated + in.Repeated + in.empty
	switch {
	case ofService(err):
		return fmt.Errorf("import %s: %w", in.file.Name, err)
	case err != nil && good > 0:
		return fmt.Errorf("%w (the %d good rows before it are kept)", err, good)
	case err != nil || good > 0:
		return err
	case in.Rows == 0:
		return fmt.Errorf("%s: there are no rows in it", in.file.Name)
	}
	return fmt.Errorf("%s: none of its %d rows is good", in.file.Name, in.Rows)
}

func (in *intake) rows(ctx context.Context, r io.Reader) error {
	switch in.kind {
	case KindTrips:
		return in.trips(ctx, r)
	case KindTelemetry:
		return in.telemetry(ctx, r)
	case KindObservations:
		return in.observations(ctx, r)
	case KindHydration:
		return in.hydration(ctx, r)
	}
	return in.inventory(ctx, r)
}

func (in *intake) refuse(line, n int, reason string) {
	if n > 1 {
		reason = fmt.Sprintf("%s (so are %d rows after it)", reason, n-1)
	}
	in.Bad += int64(n)
	in.report.fault(Fault{File: in.file.Name, Line: line, Reason: reason})
}

// countAccepted counts rows that a service has accepted. Rows that state nothing are not counted.
func (in *intake) countAccepted(rows int, written Written) {
	in.Stored += written.Stored
	in.Updated += written.Updated
	in.Repeated += int64(rows) - written.Stored - written.Updated - written.Empty
	in.Rows -= written.Empty
	in.empty += written.Empty
}

// countRejected counts new fixes that cannot be true as bad: without a position, at an impossible speed or time. They
// are stored and do not count for the distance.
func (in *intake) countRejected() {
	var bad int64
	for _, reason := range []string{"NO_POSITION", "TOO_FAST", "OUT_OF_ORDER"} {
		bad += in.rejected[reason]
	}
	bad = min(max(bad, 0), in.Stored)
	in.Stored -= bad
	in.Bad += bad
}

func checkKind(kind Kind) error {
	if !slices.Contains(Kinds(), kind) {
		return errs.Invalid("kind", "%.80q is none of %s", string(kind), Kinds())
	}
	return nil
}
