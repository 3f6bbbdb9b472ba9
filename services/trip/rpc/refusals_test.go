package rpc_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
	"github.com/sluicehq/sluice/services/trip"
)

func with(change func(p *typesv1.Position)) *typesv1.Position {
	p := at(0)
	change(p)
	return p
}

// badPositions returns positions by the part that is invalid.
func badPositions() map[string]*typesv1.Position {
	accuracy := func(metres float64) *typesv1.Position {
		return with(func(p *typesv1.Position) { p.Accuracy = &metres })
	}
	return map[string]*typesv1.Position{
		"position: is missing":                       nil,
		"position.latitude: must be":                 with(func(p *typesv1.Position) { p.Latitude = math.NaN() }),
		"position.latitude: must be between":         with(func(p *typesv1.Position) { p.Latitude = 90.001 }),
		"position.longitude: must be":                with(func(p *typesv1.Position) { p.Longitude = math.Inf(-1) }),
		"position.longitude: must be between":        with(func(p *typesv1.Position) { p.Longitude = -180.5 }),
		"position.accuracy: must":                    accuracy(-1),
		"position.accuracy: must be":                 accuracy(math.NaN()),
		"position.accuracy: must be 0":               accuracy(math.Inf(1)),
		"position.at: is not a time":                 with(func(p *typesv1.Position) { p.At = &timestamppb.Timestamp{Nanos: -1} }),
		"position.at: must be between":               with(func(p *typesv1.Position) { p.At = timestamppb.New(time.Date(1899, 1, 1, 0, 0, 0, 0, time.UTC)) }),
		"position.at: is more than 5 minutes in the": with(func(p *typesv1.Position) { p.At = timestamppb.New(noon().Add(5*time.Minute + time.Microsecond)) }),
		"position.place: is longer":                  with(func(p *typesv1.Position) { p.Place = strings.Repeat("x", 201) }),
		"position.place: must be UTF-8 without":      with(func(p *typesv1.Position) { p.Place = "a\x00b" }),
	}
}

func TestPositionInvalidPartIsRefusedByName(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	ctx, _ := as(t, caller.Member)
	open := h.start(ctx, t)
	other, _ := as(t, caller.Member)
	for message, bad := range badPositions() {
		_, startErr := h.StartTrip(other, &tripv1.StartTripRequest{VehicleId: ids.New(ids.Device), Position: bad})
		_, reportErr := h.ReportPosition(ctx, &tripv1.ReportPositionRequest{TripId: open.GetId(), Position: bad})
		for what, err := range map[string]error{"start": startErr, "report": reportErr} {
			if e := errs.From(err); err == nil || e.Code != errs.InvalidArgument || !strings.HasPrefix(e.Message, message) {
				t.Errorf("%s: %v, want %q", what, err, message)
			}
		}
		if bad == nil {
			continue // the position of an end is optional
		}
		if _, err := h.EndTrip(ctx, &tripv1.EndTripRequest{TripId: open.GetId(), Position: bad}); errs.From(err).Code != errs.InvalidArgument {
			t.Errorf("end: %v, want %q", err, message)
		}
	}
	wantTrip(ctx, t, h, open)
	if n := len(h.events(t)); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestStartTripDeviceNotRentableIsRefused(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	ctx, _ := as(t, caller.Member)
	start := func(vehicle string) error {
		_, err := h.StartTrip(ctx, &tripv1.StartTripRequest{VehicleId: vehicle, Position: at(0)})
		return err
	}
	refused(t, "an unknown device", start(h.unknown), errs.NotFound, errs.ReasonNotFound)
	refused(t, "a camera", start(h.camera), errs.InvalidArgument, trip.ReasonNotAVehicle)
	refused(t, "an id of another kind", start(ids.New(ids.Trip)), errs.InvalidArgument, errs.ReasonInvalidField)
	refused(t, "no id", start(""), errs.InvalidArgument, errs.ReasonInvalidField)
	h.devices = errs.New(errs.Unavailable, errs.ReasonServiceDown, "away")
	err := start(ids.New(ids.Device))
	refused(t, "no device service", err, errs.Unavailable, errs.ReasonServiceDown)
	if e := errs.From(err); e.Service != "device" {
		t.Errorf("refused by %q", e.Service)
	}
	if n := len(h.events(t)); n != 0 {
		t.Errorf("%d events", n)
	}
}

func TestEndTripOtherVersionIsConflict(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	ctx, _ := as(t, caller.Member)
	open := h.report(ctx, t, h.start(ctx, t).GetId(), at(10))
	one := int64(1)
	_, err := h.EndTrip(ctx, &tripv1.EndTripRequest{TripId: open.GetId(), Position: at(20), ExpectedVersion: &one})
	refused(t, "an end at version 1", err, errs.Aborted, errs.ReasonVersionConflict)
	wantTrip(ctx, t, h, open)
}

func TestTripOfAnotherAccountEveryCallAnswersAsMissing(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	owner, account := as(t, caller.Member)
	other, _ := as(t, caller.Member)
	open := h.start(owner, t)
	id, none := open.GetId(), ids.New(ids.Trip)
	_, err := h.ReportPosition(other, &tripv1.ReportPositionRequest{TripId: id, Position: at(10)})
	_, missing := h.ReportPosition(other, &tripv1.ReportPositionRequest{TripId: none, Position: at(10)})
	refused(t, "a report", err, errs.NotFound, errs.ReasonNotFound)
	if got, want := err.Error(), strings.ReplaceAll(missing.Error(), none, id); got != want {
		t.Errorf("another's trip is %q, none is %q", got, want)
	}
	_, err = h.EndTrip(other, &tripv1.EndTripRequest{TripId: id})
	refused(t, "an end", err, errs.NotFound, errs.ReasonNotFound)
	if n := seen(other, t, h, open); n != 0 {
		t.Errorf("another member sees it in %d ways", n)
	}
	if n := seen(owner, t, h, open); n != 5 {
		t.Errorf("its account sees it in %d of 5 ways", n)
	}
	for _, role := range []caller.Role{caller.Operator, caller.Admin} {
		staff, _ := as(t, role)
		if n := seen(staff, t, h, open); n != 5 {
			t.Errorf("%s sees it in %d of 5 ways", role, n)
		}
	}
	key := caller.NewContext(t.Context(), caller.Caller{AccountID: account, APIKeyID: "apikey_1", Role: caller.Member, Scopes: []string{caller.TripRead}})
	if n := seen(key, t, h, open); n != 5 {
		t.Errorf("its account's API key sees it in %d of 5 ways", n)
	}
	staff, _ := as(t, caller.Operator)
	h.report(staff, t, id, at(10))
	h.end(staff, t, id)
}

// seen counts the calls in which the caller sees the trip.
func seen(ctx context.Context, t *testing.T, h *env, open *tripv1.Trip) int {
	t.Helper()
	byID, err1 := h.BatchGetTrips(ctx, &tripv1.BatchGetTripsRequest{Ids: []string{open.GetId()}})
	listed, err2 := h.ListTrips(ctx, &tripv1.ListTripsRequest{Page: &typesv1.PageRequest{WithTotal: true}})
	byAccount, err3 := h.ListTrips(ctx, &tripv1.ListTripsRequest{Filter: &tripv1.TripFilter{AccountIds: []string{open.GetAccountId()}}})
	driven, err4 := h.BatchGetOpenTrips(ctx, &tripv1.BatchGetOpenTripsRequest{VehicleIds: []string{open.GetVehicleId()}})
	tracks, err5 := h.BatchGetTracks(ctx, &tripv1.BatchGetTracksRequest{TripIds: []string{open.GetId()}, MaxPoints: 10})
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if int(listed.GetPage().GetTotal()) != len(listed.GetTrips()) {
		t.Errorf("%d are listed of %d", len(listed.GetTrips()), listed.GetPage().GetTotal())
	}
	return len(byID.GetTrips()) + len(listed.GetTrips()) + len(byAccount.GetTrips()) + len(driven.GetTrips()) + len(tracks.GetTracks())
}

// calls returns every call, as complete as it can be without a trip.
func (h *env) calls() map[string]func(ctx context.Context) error {
	id := ids.New(ids.Trip)
	return map[string]func(ctx context.Context) error{
		"StartTrip": func(ctx context.Context) error {
			_, err := h.StartTrip(ctx, &tripv1.StartTripRequest{VehicleId: ids.New(ids.Device), Position: at(0)})
			return err
		},
		"ReportPosition": func(ctx context.Context) error {
			_, err := h.ReportPosition(ctx, &tripv1.ReportPositionRequest{TripId: id, Position: at(0)})
			return err
		},
		"EndTrip": func(ctx context.Context) error {
			_, err := h.EndTrip(ctx, &tripv1.EndTripRequest{TripId: id})
			return err
		},
		"BatchGetTrips": func(ctx context.Context) error {
			_, err := h.BatchGetTrips(ctx, &tripv1.BatchGetTripsRequest{Ids: []string{id}})
			return err
		},
		"ListTrips": func(ctx context.Context) error {
			_, err := h.ListTrips(ctx, &tripv1.ListTripsRequest{})
			return err
		},
		"BatchGetOpenTrips": func(ctx context.Context) error {
			_, err := h.BatchGetOpenTrips(ctx, &tripv1.BatchGetOpenTripsRequest{VehicleIds: []string{ids.New(ids.Device)}})
			return err
		},
		"BatchGetTracks": func(ctx context.Context) error {
			_, err := h.BatchGetTracks(ctx, &tripv1.BatchGetTracksRequest{TripIds: []string{id}, MaxPoints: 1})
			return err
		},
		"ImportFixes": func(ctx context.Context) error {
			_, err := h.ImportFixes(ctx, fixesOf("1", at(0)))
			return err
		},
		"ImportRides": func(ctx context.Context) error {
			_, err := h.ImportRides(ctx, ridesOf(&tripv1.Ride{}))
			return err
		},
	}
}

func TestCallsWithoutScopeAreDenied(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	imports := []string{"ImportFixes", "ImportRides"}
	for name, call := range h.calls() {
		refused(t, name+" by nobody", call(t.Context()), errs.Unauthenticated, "SIGN_IN_REQUIRED")
		scope := caller.NewContext(t.Context(), caller.Caller{AccountID: ids.New(ids.Account), Role: caller.Admin, Scopes: []string{caller.DeviceRead}})
		refused(t, name+" without the scope", call(scope), errs.PermissionDenied, "SCOPE_MISSING")
		for _, role := range []caller.Role{caller.Member, caller.Operator, caller.Admin} {
			ctx, _ := as(t, role)
			denied := errs.From(call(ctx)) != nil && errs.From(call(ctx)).Code == errs.PermissionDenied
			if denied != (slices.Contains(imports, name) && role != caller.Admin) {
				t.Errorf("%s by %s is denied: %v", name, role, denied)
			}
		}
	}
	_, err := h.StartTrip(system(t), &tripv1.StartTripRequest{VehicleId: ids.New(ids.Device), Position: at(0)})
	refused(t, "a start without an account", err, errs.PermissionDenied, errs.ReasonNotAllowed)
}

func TestReadsTooManyOrNoIdsAreRefusedOrEmpty(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	ctx, _ := as(t, caller.Operator)
	many := make([]string, 1001)
	_, err := h.BatchGetTrips(ctx, &tripv1.BatchGetTripsRequest{Ids: many})
	refused(t, "1,001 ids", err, errs.InvalidArgument, errs.ReasonInvalidField)
	_, err = h.BatchGetOpenTrips(ctx, &tripv1.BatchGetOpenTripsRequest{AccountIds: many})
	refused(t, "1,001 accounts", err, errs.InvalidArgument, errs.ReasonInvalidField)
	for _, points := range []int32{-1, 0, 10_001} {
		_, err = h.BatchGetTracks(ctx, &tripv1.BatchGetTracksRequest{TripIds: many[:1], MaxPoints: points})
		refused(t, "a size of track", err, errs.InvalidArgument, errs.ReasonInvalidField)
	}
	_, err = h.ListTrips(ctx, &tripv1.ListTripsRequest{Filter: &tripv1.TripFilter{Statuses: []tripv1.Status{0}}})
	refused(t, "no status", err, errs.InvalidArgument, errs.ReasonInvalidField)
	_, err = h.ListTrips(ctx, &tripv1.ListTripsRequest{Filter: &tripv1.TripFilter{StartedFrom: &timestamppb.Timestamp{Seconds: math.MaxInt64}}})
	refused(t, "no time", err, errs.InvalidArgument, errs.ReasonInvalidField)
	h.start(ctx, t)
	malformed := []string{"", "x", "a\x00b", ids.New(ids.Job)}
	if got, err := h.BatchGetTrips(ctx, &tripv1.BatchGetTripsRequest{Ids: malformed}); err != nil || len(got.GetTrips()) != 0 {
		t.Errorf("malformed ids: %v, %v", got, err)
	}
	if got, err := h.ListTrips(ctx, &tripv1.ListTripsRequest{Filter: &tripv1.TripFilter{VehicleIds: malformed}}); err != nil || len(got.GetTrips()) != 0 {
		t.Errorf("a filter of malformed ids: %v, %v", got, err)
	}
}
