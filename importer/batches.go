package importer

import (
	"container/list"
	"context"
	"errors"
	"iter"

	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/recordings"
)

// maxBuffered bounds the buffered rows in all batches of a file.
const maxBuffered = 20_000

// batches buffers rows and sends them to a service, one batch per key, in order.
type batches[T any] struct {
	most int // maximum rows per batch
	send func(ctx context.Context, key string, rows []T) error

	buffered int
	open     map[string]*list.Element
	order    list.List // of *batch[T], the oldest first
}

type batch[T any] struct {
	key  string
	rows []T
}

func newBatches[T any](most int, send func(ctx context.Context, key string, rows []T) error) *batches[T] {
	return &batches[T]{most: most, send: send, open: map[string]*list.Element{}}
}

func (b *batches[T]) add(ctx context.Context, key string, row T) error {
	at, ok := b.open[key]
	if !ok {
		at = b.order.PushBack(&batch[T]{key: key})
		b.open[key] = at
	}
	to := at.Value.(*batch[T])
	to.rows = append(to.rows, row)
	b.buffered++
	switch {
	case len(to.rows) >= b.most:
		return b.close(ctx, at)
	case b.buffered >= maxBuffered:
		return b.close(ctx, b.order.Front())
	}
	return nil
}

func (b *batches[T]) close(ctx context.Context, at *list.Element) error {
	full := b.order.Remove(at).(*batch[T])
	delete(b.open, full.key)
	b.buffered -= len(full.rows)
	return b.send(ctx, full.key, full.rows)
}

func (b *batches[T]) flush(ctx context.Context) error {
	for b.order.Len() > 0 {
		if err := b.close(ctx, b.order.Front()); err != nil {
			return err
		}
	}
	return nil
}

// pass adds rows to batches by their keys, until the file ends or a read error. It also sends the valid rows before a
// read error.
func pass[T any](ctx context.Context, in *intake, rows iter.Seq2[T, error], to *batches[T], key func(T) (string, error)) error {
	err := batchRows(ctx, in, rows, to, key)
	if ofService(err) {
		return err
	}
	if err := to.flush(ctx); err != nil {
		return err
	}
	return err
}

func batchRows[T any](ctx context.Context, in *intake, rows iter.Seq2[T, error], to *batches[T], key func(T) (string, error)) error {
	for row, err := range rows {
		if ctx.Err() != nil {
			return errs.From(ctx.Err())
		}
		if fault, bad := errors.AsType[recordings.Fault](err); bad {
			in.Rows++
			in.refuse(fault.Line, 1, fault.Reason)
			continue
		}
		if err != nil {
			return err
		}
		in.Rows++
		group, err := key(row)
		if err != nil {
			return err
		}
		if err := to.add(ctx, group, row); err != nil {
			return err
		}
	}
	return nil
}

// halve sends rows. If the service refuses their content, it retries with each half, so that only invalid rows are
// dropped. Refused rows go to refused; any other error ends the import.
func halve[T any](rows []T, send func([]T) error, refused func(rows []T, reason string)) error {
	return halveIf(rows, send, refused, func(e *errs.Error) bool {
		return e.Code == errs.InvalidArgument || e.Code == errs.ResourceExhausted
	})
}

// halveIf is halve for other refusals. divisible reports whether a refusal may be about some of the rows only.
func halveIf[T any](rows []T, send func([]T) error, refused func(rows []T, reason string), divisible func(*errs.Error) bool) error {
	err := send(rows)
	if err == nil {
		return nil
	}
	e := errs.From(err)
	if !isRefusal(e) {
		return err
	}
	if len(rows) > 1 && divisible(e) {
		half := len(rows) / 2
		if err := halveIf(rows[:half], send, refused, divisible); err != nil {
			return err
		}
		return halveIf(rows[half:], send, refused, divisible)
	}
	refused(rows, e.Message)
	return nil
}

// isRefusal reports whether the error is about the rows, and not about the service.
func isRefusal(e *errs.Error) bool {
	return e.Code.Fault() == errs.FaultInput || e.Code == errs.ResourceExhausted && !e.Retryable()
}
