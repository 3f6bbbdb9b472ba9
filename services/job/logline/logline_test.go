package logline_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/services/job"
	"github.com/sluicehq/sluice/services/job/logline"
)

func TestRunMessageWritesOneLine(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	kind := logline.New(slog.New(slog.NewJSONHandler(&log, nil)))
	result, err := kind.Run(t.Context(), job.Task{JobID: "job_1", RunID: "run_1", Payload: `{"message": "two\nlines"}`})
	if err != nil || result != `{"logged":true}` {
		t.Errorf("got %s, %v", result, err)
	}
	if line := log.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, `"message":"two\nlines"`) || !strings.Contains(line, `"job":"job_1"`) {
		t.Errorf("got %q", line)
	}
}

func TestCheckPayloadWithoutMessageIsRefused(t *testing.T) {
	t.Parallel()
	kind := logline.New(slog.New(slog.DiscardHandler))
	for _, payload := range []string{``, `null`, `[]`, `{}`, `{"message": ""}`, `{"message": 5}`, `{"message": "a", "level": "b"}`, `{"message": "a"} 1`, `{"message": "` + strings.Repeat("a", 4001) + `"}`} {
		if e := errs.From(kind.Check(payload)); e == nil || e.Code != errs.InvalidArgument {
			t.Errorf("%.40s: %v", payload, e)
		}
	}
}
