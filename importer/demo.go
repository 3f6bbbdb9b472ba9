package importer

import (
	"context"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/testdata"
)

// recorded is one of the recordings that Sluice is shown with.
type recorded struct {
	path    string
	kind    Kind
	options Options
}

// demo is what a demo holds. The schedule does not say at which of the observatories of
// activities/observatory-sites.json it was carried out, so no site is claimed for it.
func demo() []recorded {
	return []recorded{
		{"trips/munich-drive-15s.json", KindTrips, Options{Account: "bob", DeviceName: "Munich car"}},
		{"trips/around-visnjan-with-car.gpx", KindTrips, Options{Account: "bob", Device: "Višnjan car"}},
		{"trips/nyc-taxi-one-driver-2013-01.csv", KindTrips, Options{
			Account: "alice", Device: "NYC taxi", Source: "nyc-taxi", TimeZone: "America/New_York",
		}},
		{"trips/liverpool-bus-route14.csv", KindTrips, Options{
			Account: "operator", DeviceName: "Bus {key}", TimeZone: "Europe/London",
		}},
		{"telemetry/machine-temperature.csv", KindTelemetry, Options{Device: "Machine temperature", Key: "temperature"}},
		{"activities/telescope-schedule-2023-03-28.sls", KindObservations, Options{}},
		{"hydration/fitbit-water-day.json", KindHydration, Options{Account: "alice"}},
	}
}

// Demo brings in the recordings that Sluice is shown with, for the demo identities. Brought in again
// they add nothing, so it may be run again where it was broken off.
func Demo(ctx context.Context, services Services, log *slog.Logger) (Report, error) {
	all := demo()
	reports := make([]Report, len(all))
	group, ctx := errgroup.WithContext(ctx)
	for i, r := range all {
		group.Go(func() error {
			var err error
			reports[i], err = Import(ctx, services, r.kind, []File{In(testdata.Files, r.path)}, r.options)
			log.DebugContext(ctx, "recording loaded", "file", r.path,
				"rows", reports[i].Rows, "stored", reports[i].Stored, "bad", reports[i].Bad)
			return err
		})
	}
	err := group.Wait()
	var report Report
	for _, r := range reports {
		report.join(r)
	}
	if err != nil {
		return report, fmt.Errorf("load the recordings of the demo: %w", err)
	}
	return report, nil
}
