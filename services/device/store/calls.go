package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/internal/sqldb"
	"github.com/sluicehq/sluice/services/device"
	"github.com/sluicehq/sluice/services/device/maintenance"
)

const callColumns = `id, device_id, at, api_key_id, account_id, name, outcome, reason, took, trace_id`

// RecordCalls implements maintenance.AuditStore.
func (s *Store) RecordCalls(ctx context.Context, calls []maintenance.Call, events []device.Event) error {
	rows := make([][]any, len(calls))
	for i, c := range calls {
		rows[i] = []any{c.ID, c.DeviceID, sqldb.Micros(c.At), c.APIKeyID, c.AccountID, c.Name, c.Outcome, c.Reason, c.Took.Microseconds(), c.TraceID}
	}
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Insert(ctx, "device_calls", callColumns, rows, ""); err != nil {
			return err
		}
		for _, e := range events {
			if err := noteIfThere(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep calls: %w", err)
	}
	return nil
}

func newestCalls() sqldb.Newest {
	return sqldb.Newest{Name: "device-calls/newest", Column: "at", Kind: ids.Call}
}

func scanCall(row sqldb.Row) (maintenance.Call, error) {
	var c maintenance.Call
	var at, took int64
	err := row.Scan(&c.ID, &c.DeviceID, &at, &c.APIKeyID, &c.AccountID, &c.Name, &c.Outcome, &c.Reason, &took, &c.TraceID)
	c.At, c.Took = sqldb.Time(at), time.Duration(took)*time.Microsecond
	return c, err
}

// ListCalls implements maintenance.AuditStore.
func (s *Store) ListCalls(ctx context.Context, filter maintenance.CallFilter, request page.Request) (page.Page[maintenance.Call], error) {
	size, err := request.Size()
	if err != nil {
		return page.Page[maintenance.Call]{}, err
	}
	var w sqldb.Where
	for _, narrow := range []struct{ column, value string }{
		{"device_id", filter.DeviceID}, {"api_key_id", filter.APIKeyID}, {"outcome", filter.Outcome},
	} {
		if narrow.value != "" {
			w.And(narrow.column+" = ?", narrow.value)
		}
	}
	total, err := s.db.Total(ctx, request, "device_calls", w)
	if err != nil {
		return page.Page[maintenance.Call]{}, err
	}
	if err := newestCalls().After(&w, request.After); err != nil {
		return page.Page[maintenance.Call]{}, err
	}
	found, err := sqldb.Select(ctx, s.db.Read(), scanCall,
		`SELECT `+callColumns+` FROM device_calls`+w.SQL()+newestCalls().SQL()+` LIMIT `+w.Arg(size+1), w.Args()...)
	if err != nil {
		return page.Page[maintenance.Call]{}, fmt.Errorf("read calls: %w", err)
	}
	cut := page.Cut(found, size, func(c maintenance.Call) page.Cursor { return newestCalls().Cursor(c.At, c.ID) })
	cut.Total = total
	return cut, nil
}
