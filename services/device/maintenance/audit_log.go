package maintenance

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicehq/sluice/internal/caller"
	"github.com/sluicehq/sluice/internal/clock"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
	"github.com/sluicehq/sluice/internal/input"
	"github.com/sluicehq/sluice/internal/page"
	"github.com/sluicehq/sluice/services/device"
)

// AuditLog records and lists the calls of API keys. It is safe for concurrent use.
type AuditLog struct {
	store  AuditStore
	clock  clock.Clock
	logger *slog.Logger
	pace   *device.Pace
	batch  *auditBatcher
}

// NewAuditLog returns an AuditLog over a store.
func NewAuditLog(store AuditStore, clock clock.Clock, logger *slog.Logger) *AuditLog {
	return &AuditLog{store: store, clock: clock, logger: logger, pace: device.NewPace(), batch: newAuditBatcher()}
}

// Called is the event of a call by an API key, refused calls included.
const Called device.EventType = "CALLED"

// Call is a call of an API key on a device, or a refused attempt.
type Call struct {
	ID        string
	DeviceID  string
	At        time.Time // of the response
	APIKeyID  string
	AccountID string // of the key
	Name      string // as in StartStream
	Outcome   string // OK, or the code of the refusal
	Reason    string // of the refusal; else ""
	Took      time.Duration
	AtGate    bool   // refused by the gateway before a service call; not stored
	TraceID   string // the request id if requests are not traced; "" without both
}

// CallFilter selects calls. An empty field matches all.
type CallFilter struct {
	DeviceID string
	APIKeyID string
	Outcome  string
}

// notesAMinute bounds the calls of one key in the events of one device. The audit log has all calls.
const notesAMinute = 30

type callDetails struct {
	Call    string `json:"call"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	Micros  int64  `json:"micros"`
	TraceID string `json:"traceId,omitempty"`
	Unnoted int    `json:"unnoted,omitempty"` // calls since the last event, only in the audit log
}

// Record records a call of an API key, durably. Concurrent calls share one write. It skips calls without a device,
// and other callers than API keys. A failed write is only logged, because the call has happened.
func (l *AuditLog) Record(ctx context.Context, c Call) {
	who := caller.FromContext(ctx)
	if who.APIKeyID == "" || ids.Check(ids.Device, c.DeviceID) != nil {
		return
	}
	c.ID, c.At, c.APIKeyID, c.AccountID = ids.New(ids.Call), l.clock.Now(), who.APIKeyID, who.AccountID
	if err := l.batch.add(context.WithoutCancel(ctx), c, l.storeCalls); err != nil {
		l.logger.ErrorContext(ctx, "a call was not recorded", "call", c.Name, "device", c.DeviceID, "apiKey", c.APIKeyID, "error", err)
	}
}

// RecordRefusal records a call that the gateway refused before a service call. It adds no event: an event only for
// existing devices would reveal which devices exist.
func (l *AuditLog) RecordRefusal(ctx context.Context, c Call) error {
	for field, text := range map[string]string{"name": c.Name, "outcome": c.Outcome, "reason": c.Reason} {
		if err := input.Name(field, text, device.MaxName); err != nil {
			return err
		}
	}
	c.AtGate = true
	l.Record(ctx, c)
	return nil
}

func (l *AuditLog) storeCalls(ctx context.Context, calls []Call) error {
	var events []device.Event
	for _, c := range calls {
		if c.Outcome == string(errs.NotFound) || c.AtGate {
			continue // the duration of an extra write would reveal that the device exists
		}
		name := "calls " + c.DeviceID + " " + c.APIKeyID
		if !l.pace.May(name, device.Rate{AtOnce: notesAMinute, AMinute: notesAMinute}, c.At) {
			continue
		}
		e, err := device.Noted(c.DeviceID, c.At, Called, fmt.Sprintf("%s: %s", c.Name, c.Outcome), c.APIKeyID, callDetails{
			Call: c.Name, Outcome: c.Outcome, Reason: c.Reason, Micros: c.Took.Microseconds(), TraceID: c.TraceID, Unnoted: l.pace.Skipped(name),
		})
		if err != nil {
			return err
		}
		events = append(events, e)
	}
	return l.store.RecordCalls(ctx, calls, events)
}

// List returns a page of calls, the newest first, to administrators.
func (l *AuditLog) List(ctx context.Context, filter CallFilter, request page.Request) (page.Page[Call], error) {
	who, err := caller.Require(ctx, caller.APIKeyWrite)
	if err != nil {
		return page.Page[Call]{}, err
	}
	if !who.Administers() || len(who.DeviceLabels) > 0 {
		return page.Page[Call]{}, errs.Denied("only administrators see what API keys called")
	}
	if err := input.OptionalID("filter.deviceId", ids.Device, filter.DeviceID); err != nil {
		return page.Page[Call]{}, err
	}
	if err := input.OptionalID("filter.apiKeyId", ids.APIKey, filter.APIKeyID); err != nil {
		return page.Page[Call]{}, err
	}
	if err := input.Line("filter.outcome", filter.Outcome, device.MaxName); err != nil {
		return page.Page[Call]{}, err
	}
	return l.store.ListCalls(ctx, filter, request)
}
