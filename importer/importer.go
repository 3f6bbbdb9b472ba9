// Package importer brings recordings into Sluice: trips, telemetry, observations, water logs and
// inventories of devices, from files that package recordings can read into the services behind its
// ports.
//
// What it promises:
//
//   - Nothing twice. Every row has a name in its source that follows from what it says, so the same
//     file again, whole or after it was cut short, adds only what is missing. Two recordings do not
//     meet under one name.
//   - Good rows go in whatever stands beside them. A bad one is a Fault, with its line and the
//     reason; a file that ends in the middle keeps what came before, and the error says so.
//   - It streams. What it holds does not grow with the rows of a file: at most 20,000 of them wait
//     for their call. For each trip it keeps 32 bytes, and takes a million trips a file.
//   - It speaks as the system, so it is for those who operate Sluice.
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

// Kind is what files hold.
type Kind string

// The kinds.
const (
	KindTrips        Kind = "trips"
	KindTelemetry    Kind = "telemetry"
	KindObservations Kind = "observations"
	KindHydration    Kind = "hydration"
	KindDevices      Kind = "devices"
)

// Kinds are all of them.
func Kinds() []Kind {
	return []Kind{KindTrips, KindTelemetry, KindObservations, KindHydration, KindDevices}
}

// Import brings in files of one kind, one after another, and reports on every row.
//
// The error joins what is wrong with files: one that cannot be read, ends in the middle, or holds
// nothing good; the others go in. Options that no file can be read by, and a service that fails, are
// an *errs.Error and end the import at once. The report is good whatever the error.
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
		err := in.run(ctx)
		report.Files = append(report.Files, FileReport{Name: file.Name, Counts: in.Counts})
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

// ofService tells the errors of services from those of files: only these are *errs.Error.
func ofService(err error) bool {
	_, ok := errors.AsType[*errs.Error](err)
	return ok
}

// intake is one file on its way in.
type intake struct {
	settled
	Counts
	services  Services
	accountID string // "" when the rows are everybody's
	file      File
	report    *Report // where faults go
}

func (in *intake) run(ctx context.Context) error {
	r, err := in.file.open(in.Progress)
	if err != nil {
		return err
	}
	err = in.rows(ctx, r)
	if closeErr := r.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("%s: %w", in.file.Name, closeErr)
	}
	good := in.Stored + in.Repeated
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

// refuse reports n rows from the line on that are left out.
func (in *intake) refuse(line, n int, reason string) {
	if n > 1 {
		reason = fmt.Sprintf("%s (so are %d rows after it)", reason, n-1)
	}
	in.Bad += int64(n)
	in.report.fault(Fault{File: in.file.Name, Line: line, Reason: reason})
}

// took counts rows that a service has taken, stored of which were new.
func (in *intake) took(rows int, stored int64) {
	in.Stored += stored
	in.Repeated += int64(rows) - stored
}

func checkKind(kind Kind) error {
	if !slices.Contains(Kinds(), kind) {
		return errs.Invalid("kind", "%.80q is none of %s", string(kind), Kinds())
	}
	return nil
}
