package graph

import (
	"context"

	"github.com/sluicehq/sluice/bff"
	"github.com/sluicehq/sluice/internal/entity"
	"github.com/sluicehq/sluice/internal/errs"
	"github.com/sluicehq/sluice/internal/ids"
)

// Feed connects a subscription's root field with gateway/live. A subscription is executed once per event: the
// execution sets the Feed's Topic, and returns the Entity if there is one.
type Feed struct {
	Topic  bff.Topic // set by the execution
	Entity bff.Node  // of the event; nil when only the topic is needed
}

type feedKey struct{}

// WithFeed returns a context in which a subscription can be executed.
func WithFeed(ctx context.Context, feed *Feed) context.Context {
	return context.WithValue(ctx, feedKey{}, feed)
}

func (r subscriptionResolver) ActivityAdded(ctx context.Context, filter *bff.ActivityFilter) (<-chan *bff.Activity, error) {
	return r.activities(ctx, filter, "added")
}

func (r subscriptionResolver) ActivityChanged(ctx context.Context, filter *bff.ActivityFilter) (<-chan *bff.Activity, error) {
	return r.activities(ctx, filter, "")
}

func (r subscriptionResolver) activities(ctx context.Context, filter *bff.ActivityFilter, change string) (<-chan *bff.Activity, error) {
	if filter != nil {
		if err := r.checkFilter(ctx, filter.AccountID, filter.DeviceID); err != nil {
			return nil, err
		}
	}
	return feed[*bff.Activity](ctx, bff.Topic{Entity: entity.Activity, Change: change, Filter: filter})
}

func (subscriptionResolver) DeviceChanged(ctx context.Context, filter *bff.DeviceFilter) (<-chan *bff.Device, error) {
	return feed[*bff.Device](ctx, bff.Topic{Entity: entity.Device, Filter: filter})
}

func (subscriptionResolver) TripChanged(ctx context.Context, id *string) (<-chan *bff.Trip, error) {
	topic := bff.Topic{Entity: entity.Trip}
	if id != nil {
		if err := checkID("id", ids.Trip, *id); err != nil {
			return nil, err
		}
		topic.ID = *id
	}
	return feed[*bff.Trip](ctx, topic)
}

func (r subscriptionResolver) JobChanged(ctx context.Context, filter *bff.JobFilter) (<-chan *bff.Job, error) {
	if filter != nil {
		if err := r.checkFilter(ctx, nil, filter.DeviceID); err != nil {
			return nil, err
		}
	}
	return feed[*bff.Job](ctx, bff.Topic{Entity: entity.Job, Filter: filter})
}

func (subscriptionResolver) CommandOutput(ctx context.Context, commandID string) (<-chan *bff.LogLine, error) {
	if err := checkID("commandId", ids.Command, commandID); err != nil {
		return nil, err
	}
	return feed[*bff.LogLine](ctx, bff.Topic{Entity: entity.LogLine, ID: commandID})
}

// checkFilter refuses a filter that a query refuses. It runs at the set-up, not for each event.
func (r subscriptionResolver) checkFilter(ctx context.Context, accountID, deviceID *string) error {
	if f, ok := ctx.Value(feedKey{}).(*Feed); !ok || f.Entity != nil {
		return nil
	}
	for _, id := range optionalSlice(accountID) {
		if err := checkID("filter.accountId", ids.Account, id); err != nil {
			return err
		}
	}
	for _, id := range optionalSlice(deviceID) {
		if err := checkID("filter.deviceId", ids.Device, id); err != nil {
			return err
		}
	}
	return r.withinLimit(ctx, optionalSlice(deviceID)...)
}

// NeedsStream returns the error of a subscription over a transport with a single response.
func NeedsStream() error {
	return errs.New(errs.FailedPrecondition, "SUBSCRIPTION_NEEDS_STREAM", "subscribe over WebSocket, or with Accept: text/event-stream")
}

// feed sets the topic of the context's Feed, and returns a channel with its entity as the only event.
func feed[V bff.Node](ctx context.Context, topic bff.Topic) (<-chan V, error) {
	f, ok := ctx.Value(feedKey{}).(*Feed)
	if !ok {
		return nil, NeedsStream()
	}
	f.Topic = topic
	events := make(chan V, 1)
	if entity, ok := f.Entity.(V); ok {
		events <- entity
	}
	close(events)
	return events, nil
}
