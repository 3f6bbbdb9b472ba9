package trip_test

import (
	"math"
	"testing"

	"github.com/sluicehq/sluice/services/trip"
)

func tariff() trip.Tariff {
	return trip.Tariff{Currency: "EUR", StartFeeMinor: 100, PerKilometreMinor: 25, PerMinuteMinor: 30}
}

func TestFee(t *testing.T) {
	t.Parallel()
	huge := trip.Tariff{Currency: "EUR", StartFeeMinor: math.MaxInt64, PerKilometreMinor: math.MaxInt64, PerMinuteMinor: math.MaxInt64}
	for name, tt := range map[string]struct {
		tariff  trip.Tariff
		metres  float64
		seconds int64
		want    int64
	}{
		"nothing yet":                  {tariff(), 0, 0, 100},
		"a kilometre and a minute":     {tariff(), 1000, 60, 155},
		"just below a half":            {tariff(), 19, 0, 100},                                            // 100.475
		"a half goes up":               {tariff(), 20, 0, 101},                                            // 100.5
		"halves of both, rounded once": {tariff(), 20, 1, 101},                                            // 100.5 + 0.5
		"thirds add up":                {trip.Tariff{PerMinuteMinor: 20}, 0, 4, 1},                        // 1.33
		"way and time, rounded once":   {trip.Tariff{PerKilometreMinor: 4, PerMinuteMinor: 4}, 100, 6, 1}, // 0.4 + 0.4
		"the metre nearest":            {trip.Tariff{PerKilometreMinor: 1000}, 1.5, 0, 2},
		"Munich":                       {tariff(), 13371.26, 1185, 1027}, // 100 + 334.275 + 592.5
		"free":                         {trip.Tariff{}, 13371, 1185, 0},
		"beyond 64 bits":               {huge, 1e9, math.MaxInt64, math.MaxInt64},
		"the greatest start fee":       {trip.Tariff{StartFeeMinor: math.MaxInt64}, 1e6, 1e6, math.MaxInt64},
		"exact where floats are not":   {trip.Tariff{StartFeeMinor: 1<<53 + 1}, 0, 0, 1<<53 + 1},
	} {
		got := tt.tariff.Fee(tt.metres, tt.seconds)
		if got.AmountMinor != tt.want || got.Currency != tt.tariff.Currency {
			t.Errorf("%s: %+v, want %d", name, got, tt.want)
		}
	}
}

func TestTariffInvalidIsRefused(t *testing.T) {
	t.Parallel()
	if err := tariff().Check(); err != nil {
		t.Errorf("a good one: %v", err)
	}
	for _, bad := range []trip.Tariff{
		{}, {Currency: "eur"}, {Currency: "EURO"}, {Currency: "EUR", StartFeeMinor: -1},
		{Currency: "EUR", PerKilometreMinor: -1}, {Currency: "EUR", PerMinuteMinor: -1},
	} {
		if bad.Check() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
}
