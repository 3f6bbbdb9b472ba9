package activity

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

// The bounds of what is told.
const (
	maxTitle      = 500    // runes
	maxContent    = 20_000 // runes
	maxName       = 200    // runes: of actors, sites, targets and the like
	maxSource     = 100    // bytes
	maxExternalID = 1_024  // bytes
	maxUnit       = 20     // runes
	maxAmount     = 1e300  // so that sums of amounts are finite
	maxDrink      = 10_000 // ml
	maxLinks      = 20
	maxURL        = 2_000    // bytes
	maxData       = 64 << 10 // bytes
)

const (
	defaultSource = "api"
	millilitres   = "ml"
)

// checked is the activity in the form that is kept, with its defaults, or INVALID_ARGUMENT.
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
	if len(a.ExternalID) > maxExternalID {
		return errs.Invalid("externalId", "is longer than %d bytes", maxExternalID)
	}
	return checkLine("externalId", a.ExternalID, maxExternalID)
}

func checkSource(field, source string) error {
	if source == "" || len(source) > maxSource || strings.Trim(source, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		return errs.Invalid(field, "must be 1 to %d of a-z, 0-9, \".\", \"_\" and \"-\"", maxSource)
	}
	return nil
}

func (a *Activity) checkTexts() error {
	if strings.TrimSpace(a.Title) == "" {
		return errs.Invalid("title", "is missing")
	}
	if err := checkText("content", a.Content, maxContent); err != nil {
		return err
	}
	o := a.Observation
	for _, line := range []struct {
		field, text string
		most        int
	}{
		{"title", a.Title, maxTitle},
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
		if err := checkLine(line.field, line.text, line.most); err != nil {
			return err
		}
	}
	return nil
}

// checkLine refuses what is not one line of text.
func checkLine(field, text string, most int) error {
	if err := checkText(field, text, most); err != nil {
		return err
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return errs.Invalid(field, "must be without control characters")
	}
	return nil
}

// checkText refuses what is too long, and what PostgreSQL cannot keep: other than UTF-8, and NUL.
func checkText(field, text string, most int) error {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return errs.Invalid(field, "must be UTF-8 without NUL")
	}
	if utf8.RuneCountInString(text) > most {
		return errs.Invalid(field, "is longer than %d characters", most)
	}
	return nil
}

func (a *Activity) checkTimes(now time.Time) error {
	if a.StartedAt.IsZero() {
		a.StartedAt = now
	}
	if err := checkTime("startedAt", a.StartedAt); err != nil {
		return err
	}
	a.StartedAt = stored(a.StartedAt)
	if a.EndedAt == nil {
		return nil
	}
	if err := checkTime("endedAt", *a.EndedAt); err != nil {
		return err
	}
	ended := stored(*a.EndedAt)
	if ended.Before(a.StartedAt) {
		return errs.Invalid("endedAt", "is before startedAt")
	}
	a.EndedAt = &ended
	return nil
}

func checkTime(field string, at time.Time) error {
	if at.Year() < 1900 || at.Year() > 2200 {
		return errs.Invalid(field, "must be between the years 1900 and 2200")
	}
	return nil
}

// stored is the time as stores keep it.
func stored(at time.Time) time.Time { return at.UTC().Truncate(time.Microsecond) }

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

// checked is the position as it is kept. Without a time it is of the start of the activity.
func (p Position) checked(startedAt time.Time) (Position, error) {
	switch {
	case !(p.Latitude >= -90 && p.Latitude <= 90):
		return p, errs.Invalid("position.latitude", "must be between -90 and 90")
	case !(p.Longitude >= -180 && p.Longitude <= 180):
		return p, errs.Invalid("position.longitude", "must be between -180 and 180")
	case p.Accuracy != nil && !(*p.Accuracy >= 0 && *p.Accuracy <= maxAmount):
		return p, errs.Invalid("position.accuracy", "must be 0 or more metres")
	}
	if err := checkLine("position.place", p.Place, maxName); err != nil {
		return p, err
	}
	if p.At.IsZero() {
		p.At = startedAt
	}
	if err := checkTime("position.at", p.At); err != nil {
		return p, err
	}
	p.Latitude, p.Longitude = p.Latitude+0, p.Longitude+0 // no negative zero
	p.At = stored(p.At)
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
		if err := checkReference(reference.field, reference.kind, reference.id); err != nil {
			return err
		}
	}
	return nil
}

// checkReference passes "", which refers to nothing.
func checkReference(field string, kind ids.Kind, id string) error {
	if id == "" {
		return nil
	}
	if err := ids.Check(kind, id); err != nil {
		return errs.Invalid(field, "%v", err)
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
		if err := checkLine(field+".title", link.Title, maxTitle); err != nil {
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
	if err := checkLine(field, text, maxURL); err != nil {
		return err
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return errs.Invalid(field, "must be an http or https address")
	}
	return nil
}

func (a *Activity) checkData() error {
	if len(a.Data) > maxData {
		return errs.Invalid("data", "is longer than %d bytes", maxData)
	}
	if a.Data != "" && (!utf8.ValidString(a.Data) || !json.Valid([]byte(a.Data))) {
		return errs.Invalid("data", "is not JSON")
	}
	return nil
}
