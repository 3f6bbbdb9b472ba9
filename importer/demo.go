package importer

import (
	"context"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/testdata"
)

// recorded is one recording of the demo.
type recorded struct {
	path    string
	kind    Kind
	options Options
}

// demo lists the recordings of the demo. The schedule does not name its observatory, so its observations have no
// site.
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

// Demo imports the recordings of the demo for the demo identities. It is idempotent.
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
