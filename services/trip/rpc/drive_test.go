package rpc_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	tripv1 "github.com/sluicehq/sluice/services/gen/trip/v1"
	typesv1 "github.com/sluicehq/sluice/services/gen/types/v1"
	"github.com/sluicehq/sluice/services/trip"
)

func TestTripDrivenToItsEndHasDistanceDurationAndFee(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	ctx, account := as(t, caller.Member)
	started := h.start(ctx, t)
	if started.GetStatus() != tripv1.Status_STATUS_IN_PROGRESS || started.GetVersion() != 1 || started.GetAccountId() != account ||
		started.GetFee().GetAmountMinor() != 100 || started.GetFee().GetCurrency() != "EUR" || started.GetEnd() != nil ||
		!proto.Equal(started.GetStart(), at(0)) || !proto.Equal(started.GetCurrent(), at(0)) {
		t.Errorf("started as %v", started)
	}
	h.clock.Advance(100 * time.Second)
	under := h.report(ctx, t, started.GetId(), at(100))
	if math.Abs(under.GetDistanceMetres()-1000) > 0.01 || under.GetDurationSeconds() != 100 || under.GetVersion() != 2 ||
		under.GetFee().GetAmountMinor() != 175 || !proto.Equal(under.GetCurrent(), at(100)) {
		t.Errorf("under way as %v", under)
	}
	h.clock.Advance(20*time.Second + 900*time.Millisecond)
	two := int64(2)
	ended, err := h.EndTrip(ctx, &tripv1.EndTripRequest{TripId: started.GetId(), Position: at(120), ExpectedVersion: &two})
	if err != nil {
		t.Fatal(err)
	}
	if ended.GetStatus() != tripv1.Status_STATUS_FINISHED || ended.GetDurationSeconds() != 120 || ended.GetFee().GetAmountMinor() != 190 ||
		math.Abs(ended.GetDistanceMetres()-1200) > 0.01 || ended.GetVersion() != 3 ||
		ended.GetEnd().GetLatitude() != at(120).GetLatitude() || !ended.GetEnd().GetAt().AsTime().Equal(h.clock.Now()) {
		t.Errorf("ended as %v", ended)
	}
	h.clock.Advance(time.Hour)
	wantTrip(ctx, t, h, ended)
	wantEventsOf(t, h, map[string]*tripv1.Trip{"started": started, "moved": under, "finished": ended})
}

// wantTrip requires that a read returns the trip as in the response.
func wantTrip(ctx context.Context, t *testing.T, h *env, want *tripv1.Trip) {
	t.Helper()
	got, err := h.BatchGetTrips(ctx, &tripv1.BatchGetTripsRequest{Ids: []string{want.GetId(), want.GetId()}})
	if err != nil || len(got.GetTrips()) != 1 || !proto.Equal(got.GetTrips()[0], want) {
		t.Errorf("reads as %v, %v; want %v", got, err, want)
	}
}

func wantEventsOf(t *testing.T, h *env, want map[string]*tripv1.Trip) {
	t.Helper()
	events := h.events(t)
	if len(events) != len(want) {
		t.Errorf("%d events, want %d", len(events), len(want))
	}
	for _, e := range events {
		var tests tripv1.Trip
		if err := proto.Unmarshal(e.Data, &tests); err != nil {
			t.Fatal(err)
		}
		change := strings.Split(e.Subject, ".")[2]
		if e.Subject != "event.trip."+change+"."+tests.GetId() || !proto.Equal(&tests, want[change]) {
			t.Errorf("%s tells %v, want %v", e.Subject, &tests, want[change])
		}
	}
}

func TestReportPositionDuplicateFixChangesNothing(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	ctx, _ := as(t, caller.Member)
	started := h.start(ctx, t)
	first := h.report(ctx, t, started.GetId(), at(60))
	if again := h.report(ctx, t, started.GetId(), at(60)); !proto.Equal(again, first) {
		t.Errorf("again it is %v, want %v", again, first)
	}
	if n := len(h.events(t)); n != 2 {
		t.Errorf("%d events", n)
	}
}

func TestTripOverRefusesChanges(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	ctx, _ := as(t, caller.Member)
	ended := h.end(ctx, t, h.start(ctx, t).GetId())
	_, err := h.ReportPosition(ctx, &tripv1.ReportPositionRequest{TripId: ended.GetId(), Position: at(10)})
	refused(t, "a report", err, errs.FailedPrecondition, trip.ReasonTripFinished)
	_, err = h.EndTrip(ctx, &tripv1.EndTripRequest{TripId: ended.GetId()})
	refused(t, "an end", err, errs.FailedPrecondition, trip.ReasonTripFinished)
	wantTrip(ctx, t, h, ended)
}

func TestTariffChangedDuringTripKeepsThatOfTheStart(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	ctx, _ := as(t, caller.Member)
	started := h.start(ctx, t)
	h.TripsClient = h.with(trip.Tariff{Currency: "CHF", StartFeeMinor: 999_999})
	if ended := h.end(ctx, t, started.GetId()); ended.GetFee().GetAmountMinor() != 100 || ended.GetFee().GetCurrency() != "EUR" {
		t.Errorf("the fee is %v", ended.GetFee())
	}
	if next := h.start(ctx, t); next.GetFee().GetAmountMinor() != 999_999 {
		t.Errorf("the next trip's fee is %v", next.GetFee())
	}
}

func TestLiveTripStartAtVariousTimesHasDurationByServerClock(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		start   *typesv1.Position
		startAt time.Time
		seconds int64 // at the end, a minute after noon
	}{
		"a start without a time is of now":          {&typesv1.Position{Latitude: 48}, noon(), 60},
		"a start sent late counts from its time":    {at(-300), noon().Add(-5 * time.Minute), 360},
		"a start by a fast clock is not later":      {at(200), noon(), 60},
		"a start just within what a clock may be":   {at(300), noon(), 60},
		"fractions of a second are not charged for": {&typesv1.Position{At: timestamppb.New(noon().Add(-500 * time.Millisecond))}, noon().Add(-500 * time.Millisecond), 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newEnv(t)
			ctx, _ := as(t, caller.Member)
			started, err := h.StartTrip(ctx, &tripv1.StartTripRequest{VehicleId: ids.New(ids.Device), Position: tt.start})
			if err != nil {
				t.Fatal(err)
			}
			h.clock.Advance(time.Minute)
			ended := h.end(ctx, t, started.GetId())
			if !ended.GetStart().GetAt().AsTime().Equal(tt.startAt) || ended.GetDurationSeconds() != tt.seconds ||
				!ended.GetEnd().GetAt().AsTime().Equal(noon().Add(time.Minute)) {
				t.Errorf("from %v to %v: %d s", ended.GetStart().GetAt().AsTime(), ended.GetEnd().GetAt().AsTime(), ended.GetDurationSeconds())
			}
		})
	}
}

func TestVehicle64ConcurrentStartsOpensOneTrip(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	vehicle := ids.New(ids.Device)
	oneOf64(t, errs.FailedPrecondition, trip.ReasonVehicleInUse, func() error {
		ctx, _ := as(t, caller.Member)
		_, err := h.StartTrip(ctx, &tripv1.StartTripRequest{VehicleId: vehicle, Position: at(0)})
		return err
	})
}

func TestAccount64ConcurrentStartsOpensOneTrip(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	ctx, _ := as(t, caller.Member)
	oneOf64(t, errs.FailedPrecondition, trip.ReasonTripAlreadyOpen, func() error {
		_, err := h.StartTrip(ctx, &tripv1.StartTripRequest{VehicleId: ids.New(ids.Device), Position: at(0)})
		return err
	})
}

func oneOf64(t *testing.T, code errs.Code, reason string, call func() error) {
	t.Helper()
	results := make([]error, 64)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { results[i] = call() })
	}
	wg.Wait()
	won := slices.IndexFunc(results, func(err error) bool { return err == nil })
	if won < 0 {
		t.Fatalf("nobody won: %v", results[0])
	}
	for _, err := range slices.Delete(results, won, won+1) {
		refused(t, "another start", err, code, reason)
	}
}

func TestReportPositionConcurrentReportsLoseNoDistance(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	ctx, _ := as(t, caller.Member)
	started := h.start(ctx, t)
	h.clock.Advance(time.Minute)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() { h.report(ctx, t, started.GetId(), at(i+1)) })
	}
	wg.Wait()
	ended := h.end(ctx, t, started.GetId())
	// All positions lie on one line to the north, so the distance is that to the last counted fix, whatever the order.
	want := 10 * ended.GetCurrent().GetAt().AsTime().Sub(noon()).Seconds()
	if math.Abs(ended.GetDistanceMetres()-want) > 0.01 || ended.GetVersion() != 62 || want != 600 {
		t.Errorf("%v metres, want %v; version %d", ended.GetDistanceMetres(), want, ended.GetVersion())
	}
	got, err := h.BatchGetTracks(ctx, &tripv1.BatchGetTracksRequest{TripIds: []string{started.GetId()}, MaxPoints: 1000})
	if err != nil || len(got.GetTracks()) != 1 || len(got.GetTracks()[0].GetPositions()) != 61 {
		t.Errorf("track: %v, %v", got, err)
	}
}

func TestStartTripIdempotencyKeyReplayedReturnsFirstTrip(t *testing.T) {
	t.Parallel()
	h := newEnv(t)
	ctx, _ := as(t, caller.Member)
	request := &tripv1.StartTripRequest{VehicleId: ids.New(ids.Device), Position: &typesv1.Position{Latitude: 48}, IdempotencyKey: "k"}
	first, err := h.StartTrip(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(time.Minute)
	if again, err := h.StartTrip(ctx, request); err != nil || !proto.Equal(again, first) {
		t.Errorf("again it is %v, %v; want %v", again, err, first)
	}
	request.Position.Latitude = 49
	_, err = h.StartTrip(ctx, request)
	refused(t, "another input", err, errs.Aborted, errs.ReasonKeyReused)
}
