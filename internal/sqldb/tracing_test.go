package sqldb_test

import (
	"path/filepath"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sluicehq/sluice/internal/sqldb"
)

func TestStatementInsideSpanIsTraced(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "t.db"), sqldb.WithTracing(provider))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.Migrate(t.Context(), things()); err != nil {
		t.Fatal(err)
	}
	if n := len(spans.Ended()); n != 0 {
		t.Errorf("%d spans without a request", n)
	}
	ctx, parent := provider.Tracer("test").Start(t.Context(), "request")
	var n int
	if err := db.Read().QueryRowContext(ctx, "SELECT COUNT(*) FROM things").Scan(&n); err != nil {
		t.Fatal(err)
	}
	parent.End()
	for _, span := range spans.Ended() {
		if span.Parent().SpanID() == parent.SpanContext().SpanID() {
			return
		}
	}
	t.Error("the statement has no span below the request's")
}
