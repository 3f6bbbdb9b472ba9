package activity

import (
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
)

// The bounds of the input: texts in characters, except where the comment says bytes.
const (
	maxTitle      = 500
	maxContent    = 20_000
	maxName       = 200   // of actors, sites, targets and the like
	maxSource     = 100   // bytes
	maxExternalID = 1_024 // bytes
	maxUnit       = 20
	maxAmount     = 1e300  // keeps sums of amounts finite
	maxDrink      = 10_000 // ml
	maxLinks      = 20
	maxURL        = 2_000    // bytes
	maxData       = 64 << 10 // bytes
)

const (
	defaultSource = "api"
	millilitres   = "ml"
)

// checked returns the activity in its stored form, with defaults, or INVALID_ARGUMENT.
func (a Activity) checked(now time.Time) (Activity, error) {
	if a.Kind == "" {
		return a, errs.Invalid("kind", "is missing")
	}
	if !a.Kind.known() {
		return a, errs.Invalid("kind", "%.80q is not a kind", string(a.Kind))
	}
	for _, check := range []func() error{
		a.checkOrigin, a.checkTexts, func() error { return a.checkTimes(now) }, a.checkAmount,
		a.checkPlaces, a.checkReferences, a.checkLinks, a.checkData,
	} {
		if err := check(); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (a *Activity) checkOrigin() error {
	if a.Source == "" {
		a.Source = defaultSource
	}
	if err := checkSource("source", a.Source); err != nil {
		return err
	}
	if a.ExternalID == "" {
		return nil
	}
	return input.Key("externalId", a.ExternalID, maxExternalID)
}

func checkSource(field, source string) error {
	if source == "" || len(source) > maxSource || strings.Trim(source, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		return errs.Invalid(field, "must be 1 to %d of a-z, 0-9, \".\", \"_\" and \"-\"", maxSource)
	}
	return nil
}

func (a *Activity) checkTexts() error {
	if err := input.Name("title", a.Title, maxTitle); err != nil {
		return err
	}
	if err := input.Text("content", a.Content, maxContent); err != nil {
		return err
	}
	o := a.Observation
	for _, line := range []struct {
		field, text string
		most        int
	}{
		{"actor", a.Actor, maxName},
		{"organisation", a.Organisation, maxName},
		{"subject", a.Subject, maxName},
		{"unit", a.Unit, maxUnit},
		{"observation.site", o.Site, maxName},
		{"observation.telescope", o.Telescope, maxName},
		{"observation.instrument", o.Instrument, maxName},
		{"observation.programme", o.Programme, maxName},
		{"observation.observer", o.Observer, maxName},
		{"observation.target", o.Target, maxName},
		{"observation.status", o.Status, maxName},
	} {
		if err := input.Line(line.field, line.text, line.most); err != nil {
			return err
		}
	}
	return nil
}

func (a *Activity) checkTimes(now time.Time) error {
	if a.StartedAt.IsZero() {
		a.StartedAt = now
	}
	var err error
	if a.StartedAt, err = input.Time("startedAt", a.StartedAt); err != nil {
		return err
	}
	if a.EndedAt, err = input.OptionalTime("endedAt", a.EndedAt); err != nil {
		return err
	}
	if a.EndedAt != nil && a.EndedAt.Before(a.StartedAt) {
		return errs.Invalid("endedAt", "is before startedAt")
	}
	return nil
}

// firstWater is the first time of water; a device whose clock was not set sends an earlier one.
var firstWater = time.Date(1980, time.January, 7, 0, 0, 0, 0, time.UTC)

// checkClock refuses impossible times. Observations and jobs are planned ahead; a day allows for time zones.
func (a Activity) checkClock(now time.Time) error {
	planned := a.Kind == Observed || a.Kind == Job
	if !planned && a.StartedAt.After(now.Add(24*time.Hour)) {
		return errs.Invalid("startedAt", "is in the future")
	}
	if a.Kind == Hydration && a.StartedAt.Before(firstWater) {
		return errs.Invalid("startedAt", "is before 1980: was the clock set?")
	}
	return nil
}

func (a *Activity) checkAmount() error {
	if a.Amount != nil && !(math.Abs(*a.Amount) <= maxAmount) {
		return errs.Invalid("amount", "must be a number between -1e300 and 1e300")
	}
	if a.Kind != Hydration {
		return nil
	}
	if a.Unit != millilitres {
		return errs.Invalid("unit", "must be %q for water", millilitres)
	}
	if a.Amount == nil || !(*a.Amount > 0 && *a.Amount <= maxDrink) {
		return errs.Invalid("amount", "must be above 0 and at most %d ml of water", maxDrink)
	}
	return nil
}

func (a *Activity) checkPlaces() error {
	if a.Position != nil {
		position, err := a.Position.checked(a.StartedAt)
		if err != nil {
			return err
		}
		a.Position = &position
	}
	if a.Sky != nil {
		sky, err := a.Sky.checked()
		if err != nil {
			return err
		}
		a.Sky = &sky
	}
	return nil
}

// checked returns the position in its stored form. A position without a time gets the start of the activity.
func (p Position) checked(startedAt time.Time) (Position, error) {
	if err := input.Place("position", p.Latitude, p.Longitude, p.Accuracy); err != nil {
		return p, err
	}
	if err := input.Line("position.place", p.Place, maxName); err != nil {
		return p, err
	}
	if p.At.IsZero() {
		p.At = startedAt
	}
	at, err := input.Time("position.at", p.At)
	if err != nil {
		return p, err
	}
	p.At = at
	p.Latitude, p.Longitude = p.Latitude+0, p.Longitude+0 // no negative zero
	return p, nil
}

func (a *Activity) checkReferences() error {
	for _, reference := range []struct {
		field string
		kind  ids.Kind
		id    string
	}{
		{"accountId", ids.Account, a.AccountID},
		{"deviceId", ids.Device, a.DeviceID},
		{"tripId", ids.Trip, a.TripID},
		{"jobId", ids.Job, a.JobID},
	} {
		if err := input.OptionalID(reference.field, reference.kind, reference.id); err != nil {
			return err
		}
	}
	return nil
}

func (a *Activity) checkLinks() error {
	if len(a.Links) > maxLinks {
		return errs.Invalid("links", "are more than %d", maxLinks)
	}
	if len(a.Links) == 0 {
		a.Links = nil
	}
	for i, link := range a.Links {
		field := fmt.Sprintf("links[%d]", i)
		if err := input.Line(field+".title", link.Title, maxTitle); err != nil {
			return err
		}
		if err := checkURL(field+".url", link.URL); err != nil {
			return err
		}
	}
	return nil
}

func checkURL(field, text string) error {
	if len(text) > maxURL {
		return errs.Invalid(field, "is longer than %d bytes", maxURL)
	}
	if err := input.Line(field, text, maxURL); err != nil {
		return err
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return errs.Invalid(field, "must be an http or https address")
	}
	return nil
}

func (a *Activity) checkData() error {
	if a.Data == "" {
		return nil
	}
	return input.JSON("data", a.Data, maxData)
}
