package trip

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
)

// Money is an amount in the minor unit of its currency: cents, pence, fen.
type Money struct {
	AmountMinor int64
	Currency    string // ISO 4217
}

// Tariff is the price of a trip.
type Tariff struct {
	Currency          string `json:"currency"` // ISO 4217
	StartFeeMinor     int64  `json:"startFeeMinor"`
	PerKilometreMinor int64  `json:"perKilometreMinor"`
	PerMinuteMinor    int64  `json:"perMinuteMinor"`
}

// Check refuses a tariff that cannot be applied.
func (t Tariff) Check() error {
	if len(t.Currency) != 3 || strings.Trim(t.Currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return fmt.Errorf("the currency %.20q is not three capital letters of ISO 4217", t.Currency)
	}
	if t.StartFeeMinor < 0 || t.PerKilometreMinor < 0 || t.PerMinuteMinor < 0 {
		return errors.New("a fee is negative")
	}
	return nil
}

// Fee returns start fee + kilometres × price per kilometre + minutes × price per minute. The distance is rounded to
// the metre. The sum is exact and is rounded once, half up, to the minor unit. A sum beyond 64 bits becomes the
// largest amount.
func (t Tariff) Fee(metres float64, seconds int64) Money {
	const parts = 3000 // the common denominator of a thousandth (metre) and a sixtieth (second)
	sum := product(t.StartFeeMinor, 1, parts)
	sum.Add(sum, product(t.PerKilometreMinor, int64(math.Round(metres)), parts/1000))
	sum.Add(sum, product(t.PerMinuteMinor, seconds, parts/60))
	sum.Add(sum, big.NewInt(parts/2))
	sum.Div(sum, big.NewInt(parts))
	amount := int64(math.MaxInt64)
	if sum.IsInt64() {
		amount = sum.Int64()
	}
	return Money{AmountMinor: amount, Currency: t.Currency}
}

func product(a, b, c int64) *big.Int {
	p := big.NewInt(a)
	p.Mul(p, big.NewInt(b))
	return p.Mul(p, big.NewInt(c))
}
