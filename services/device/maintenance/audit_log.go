// Package calls keeps what API keys call to act on devices, refusals too, and shows it.
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

// Service is the use cases. It is safe for concurrent use.
type Service struct {
	store  Store
	clock  clock.Clock
	logger *slog.Logger
	pace   *device.Pace
	log    *callLog
}

// New gives the use cases over a store.
func New(store Store, clock clock.Clock, logger *slog.Logger) *Service {
	return &Service{store: store, clock: clock, logger: logger, pace: device.NewPace(), log: newCallLog()}
}

// Called is that a third party acted on the device, or was to.
const Called device.EventType = "CALLED"

// Call is a call by which an API key acted on a device, or was refused to.
type Call struct {
	ID        string
	DeviceID  string
	At        time.Time // when it had been answered
	APIKeyID  string
	AccountID string // whom the key acts for
	Name      string // as in StartStream
	Outcome   string // OK, or the code of the refusal
	Reason    string // of the refusal; "" otherwise
	Took      time.Duration
	AtGate    bool   // it was refused before a service was asked; not kept
	TraceID   string // the request's id where requests are not traced; "" for one without either
}

// Filter narrows a list of calls; what is empty does not narrow.
type Filter struct {
	DeviceID string
	APIKeyID string
	Outcome  string
}

const (
	// callsAMinute is how many calls of one key for one device are noted in its events; all are kept as
	// calls.
	callsAMinute = 30
)

// callDetails is the data of an event about a call.
type callDetails struct {
	Call    string `json:"call"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	Micros  int64  `json:"micros"`
	TraceID string `json:"traceId,omitempty"`
	Unnoted int    `json:"unnoted,omitempty"` // calls before it that are among the calls only
}

// Keep keeps that an API key called, durably; calls at once are kept by one write. What is about
// no device is not kept, nor what others than API keys call. That it could not be kept is written to
// the log: the call itself has happened.
func (s *Service) Keep(ctx context.Context, c Call) {
	who := caller.FromContext(ctx)
	if who.APIKeyID == "" || ids.Check(ids.Device, c.DeviceID) != nil {
		return
	}
	c.ID, c.At, c.APIKeyID, c.AccountID = ids.New(ids.Call), s.clock.Now(), who.APIKeyID, who.AccountID
	if err := s.log.keep(context.WithoutCancel(ctx), c, s.keepCalls); err != nil {
		s.logger.ErrorContext(ctx, "a call was not kept", "call", c.Name, "device", c.DeviceID, "apiKey", c.APIKeyID, "error", err)
	}
}

// KeepRefusal keeps, as Keep does, that an API key was refused before a service was asked. Whether there
// is such a device, and for that key, makes no difference, so it is not noted in the events of one.
func (s *Service) KeepRefusal(ctx context.Context, c Call) error {
	for field, text := range map[string]string{"name": c.Name, "outcome": c.Outcome, "reason": c.Reason} {
		if err := input.Name(field, text, device.MaxName); err != nil {
			return err
		}
	}
	c.AtGate = true
	s.Keep(ctx, c)
	return nil
}

func (s *Service) keepCalls(ctx context.Context, calls []Call) error {
	var events []device.Event
	for _, c := range calls {
		if c.Outcome == string(errs.NotFound) || c.AtGate {
			continue // a note beside one that there is would take its time: the key must not tell them apart
		}
		name := "calls " + c.DeviceID + " " + c.APIKeyID
		if !s.pace.May(name, device.Rate{AtOnce: callsAMinute, AMinute: callsAMinute}, c.At) {
			continue
		}
		e, err := device.Noted(c.DeviceID, c.At, Called, fmt.Sprintf("%s: %s", c.Name, c.Outcome), c.APIKeyID, callDetails{
			Call: c.Name, Outcome: c.Outcome, Reason: c.Reason, Micros: c.Took.Microseconds(), TraceID: c.TraceID, Unnoted: s.pace.Skipped(name),
		})
		if err != nil {
			return err
		}
		events = append(events, e)
	}
	return s.store.KeepCalls(ctx, calls, events)
}

// List gives a page of what API keys called, the newest first. For administrators.
func (s *Service) List(ctx context.Context, filter Filter, request page.Request) (page.Page[Call], error) {
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
	return s.store.ListCalls(ctx, filter, request)
}
