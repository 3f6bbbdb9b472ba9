package graph_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/sluicehq/sluice/graph"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/obs"
)

func ofService(service string, retryAfter time.Duration, e *errs.Error) *errs.Error {
	e.Service, e.RetryAfter = service, retryAfter
	return e
}

// Each row is an error of ours and how programs see it; the request is r1.
func TestErrorExtensions(t *testing.T) {
	t.Parallel()
	masked := map[string]any{"code": "INTERNAL", "reason": "INTERNAL", "retryable": false}
	for _, c := range []struct {
		name    string
		err     error
		message string
		want    map[string]any // beside the id of the request
		logged  bool
	}{
		{"a refusal", errs.New(errs.FailedPrecondition, "TRIP_ALREADY_OPEN", "you have an open trip"), "you have an open trip",
			map[string]any{"code": "FAILED_PRECONDITION", "reason": "TRIP_ALREADY_OPEN", "retryable": false}, false},
		{"of a service", ofService("trip", 0, errs.Missing("trip", "x")), `there is no trip "x"`,
			map[string]any{"code": "NOT_FOUND", "reason": "NOT_FOUND", "retryable": false, "service": "TRIP"}, false},
		{"with a time to come back", ofService("job", 1500*time.Millisecond, errs.New(errs.Unavailable, "CIRCUIT_OPEN", "later")), "later",
			map[string]any{"code": "UNAVAILABLE", "reason": "CIRCUIT_OPEN", "retryable": true, "service": "JOB", "retryAfterMs": int64(1500)}, false},
		{"wrapped on its way", fmt.Errorf("open trip: %w", errs.Conflict("trip", 1, 2)), "the trip is at version 2, not 1: read it again",
			map[string]any{"code": "ABORTED", "reason": "VERSION_CONFLICT", "retryable": false}, false},
		{"with a cause", errs.Denied("no").Because(errors.New("sesame")), "no",
			map[string]any{"code": "PERMISSION_DENIED", "reason": "NOT_ALLOWED", "retryable": false}, false},
		{"late", context.DeadlineExceeded, "the time for this call ran out",
			map[string]any{"code": "DEADLINE_EXCEEDED", "reason": "DEADLINE_EXCEEDED", "retryable": true}, false},
		{"a fault of ours", errors.New("dial 10.0.0.1: sesame"), "something went wrong on our side", masked, true},
		{"a null where none may be", gqlerror.Errorf("must not be null"), "something went wrong on our side", masked, true},
		{"a fault that a service has written down", ofService("trip", 0, errs.New(errs.Internal, "INTERNAL", "something went wrong on our side")),
			"something went wrong on our side", map[string]any{"code": "INTERNAL", "reason": "INTERNAL", "retryable": false, "service": "TRIP"}, false},
		{"a fault between us and a service", ofService("trip", 0, errs.From(errors.New("sesame"))), "something went wrong on our side",
			map[string]any{"code": "INTERNAL", "reason": "INTERNAL", "retryable": false, "service": "TRIP"}, true},
		{"a document that does not parse", &gqlerror.Error{Message: "Expected Name", Extensions: map[string]any{"code": "GRAPHQL_PARSE_FAILED"}},
			"Expected Name", map[string]any{"code": "GRAPHQL_PARSE_FAILED", "reason": "PARSE_FAILED", "retryable": false}, false},
		{"a document that does not fit", graph.Invalid("no field %q", "x"), `no field "x"`,
			map[string]any{"code": "GRAPHQL_VALIDATION_FAILED", "reason": "VALIDATION_FAILED", "retryable": false}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			present := graph.Present(obs.NewLogger(&log, slog.LevelInfo, "text"))
			got := present(obs.WithRequestID(t.Context(), "r1"), c.err)
			want := maps.Clone(c.want)
			want["requestId"] = "r1"
			if got.Message != c.message || !reflect.DeepEqual(got.Extensions, want) {
				t.Errorf("shown as %q %v, want %q %v", got.Message, got.Extensions, c.message, want)
			}
			if c.logged != (log.Len() > 0) || (c.logged && !strings.Contains(log.String(), "r1")) {
				t.Errorf("logged: %s", log.String())
			}
		})
	}
}

func TestErrorsHavePathAndLocation(t *testing.T) {
	t.Parallel()
	at := &gqlerror.Error{
		Err: errs.Denied("no"), Path: ast.Path{ast.PathName("trips"), ast.PathIndex(3)}, Locations: []gqlerror.Location{{Line: 2, Column: 5}},
	}
	got := graph.Present(silent())(t.Context(), at)
	if got.Path.String() != "trips[3]" || len(got.Locations) != 1 || got.Locations[0].Line != 2 {
		t.Errorf("shown at %v %v", got.Path, got.Locations)
	}
}
